"""Finds datasets and model versions by the names that people type."""

from __future__ import annotations

from jobs.contracts import dataset
from jobs.contracts.dataset import Manifest
from jobs.contracts.errors import InputError, RequestError, SeatrialError
from jobs.control.home import Home
from jobs.control.registry import CHAMPION
from jobs.control.registry_reader import ModelVersion, list_versions


def list_datasets(home: Home) -> list[tuple[str, Manifest]]:
    """(location, manifest) of every published dataset of a home, newest first."""
    found = []
    for path in home.datasets.glob(f"*/*/{dataset.MANIFEST}"):
        try:
            found.append((str(path.parent), dataset.load_manifest(str(path.parent))))
        except SeatrialError:  # `data verify` and the readers tell; a list shows what can be read
            continue
    return sorted(found, key=lambda each: str(each[1].recorded.get("made", "")), reverse=True)


def find_dataset(home: Home, wanted: str) -> tuple[str, Manifest]:
    """By location, by name (the newest of it) or by the beginning of a fingerprint.

    Errors: InputError that lists what there is.
    """
    if "/" in wanted:
        return wanted, dataset.load_manifest(wanted)
    for path in home.datasets.glob(f"*/{wanted}*"):
        return str(path), dataset.load_manifest(str(path))
    found = list_datasets(home)
    for uri, manifest in found:
        if manifest.name == wanted:
            return uri, manifest
    names = ", ".join(sorted({manifest.name for _, manifest in found})) or "none yet"
    raise InputError(f"no dataset {wanted!r} here", where=str(home.datasets), hint=f"published here: {names}")


def find_model(home: Home, wanted: str) -> ModelVersion:
    """``name`` (its champion, else its newest version), ``name/version`` or ``name@alias``.

    Errors: RequestError that lists what there is.
    """
    name, _, alias = wanted.partition("@")
    name, _, number = name.partition("/")
    versions = list_versions(home.tracking_uri, name)
    if not versions:
        names = ", ".join(sorted({version.name for version in list_versions(home.tracking_uri)})) or "none yet"
        raise RequestError(f"no model {name!r} is registered here", where=home.tracking_uri, hint=f"registered: {names}")
    for version in versions:
        if version.version == number or (alias and alias in version.aliases):
            return version
    if number or alias:
        known = ", ".join(f"{v.version}{''.join(f' @{a}' for a in v.aliases)}" for v in versions)
        raise RequestError(f"{name} has no {'alias ' + alias if alias else 'version ' + number}", hint=f"its versions: {known}")
    return next((version for version in versions if CHAMPION in version.aliases), versions[0])
