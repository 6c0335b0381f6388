"""The chain from a registered version back to the raw files, each link checked against the bytes that are there now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobs.contracts import dataset
from jobs.contracts.errors import SeatrialError
from jobs.control import artefacts
from jobs.control.catalog import find_model
from jobs.control.home import Home
from jobs.control.services import get_json, read_service


@dataclass(frozen=True)
class Link:
    kind: str
    name: str
    fingerprint: str
    verified: bool | None = None  # None: nothing here to check it against
    details: tuple[str, ...] = ()


def trace(home: Home, model: str) -> list[Link]:
    """deployment (when one answers with this version) -> version -> bundle -> run -> dataset -> raw files."""
    version = find_model(home, model)
    bundle = artefacts.describe(version)
    links = _deployment(home, version.name, version.version)
    aliases = tuple(f"alias {alias}" for alias in version.aliases)
    links.append(Link("version", f"{version.name}/{version.version}", version.fingerprint, version.fingerprint == bundle.fingerprint, aliases))
    links.append(Link("bundle", version.uri, bundle.fingerprint, _holds(lambda: artefacts.verify(version))))
    links.append(Link("run", bundle.run, "", (home.runs / bundle.run).is_dir(), (f"entry {bundle.spec.get('entry', '?')}",)))
    return links + _dataset(home, bundle.dataset)


def _deployment(home: Home, name: str, version: str) -> list[Link]:
    service = read_service(home)
    if service is None:
        return []
    _, answer = get_json(f"{service['url']}/v2/models/{name}")
    live = (answer or {}).get("versions", [])
    return [Link("deployment", service["url"], (answer or {}).get("parameters", {}).get("bundle", ""), True)] if version in live else []


def _dataset(home: Home, fingerprint: str) -> list[Link]:
    found = next(home.datasets.glob(f"*/{fingerprint}"), None)
    if found is None:
        return [Link("dataset", "not in this store", fingerprint, False)]
    manifest = dataset.load_manifest(str(found))
    rows = ", ".join(f"{part} {count:,}" for part, count in manifest.split.rows.items())
    raw = tuple(f"{name}  sha256 {digest[:12]}" for name, digest in manifest.inputs.items())
    return [
        Link("dataset", f"{manifest.name} ({rows})", fingerprint, _holds(lambda: dataset.verify(str(found)))),
        Link("raw files", f"{len(raw)} files", "", None, raw),
    ]


def _holds(check: Callable[[], object]) -> bool:
    try:
        check()
    except SeatrialError:
        return False
    return True
