"""Reads the registry without importing MLflow, which costs 2 to 5 s and some 200 MB per process.

A serving replica follows an alias and the command line lists versions; both only read. A local store is opened
as read-only SQLite, a server through its REST API. A test compares every answer with MLflow's own client.
"""

from __future__ import annotations

import json
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.contracts.errors import SetupError, StorageError

FINGERPRINT_TAG = "seatrial.bundle"  # version tag with the bundle's fingerprint
SQLITE = "sqlite:///"
_TIMEOUT = 10  # seconds for one REST call


@dataclass(frozen=True)
class ModelVersion:
    name: str
    version: str
    uri: str  # where the bundle lies
    fingerprint: str  # of the bundle
    run: str = ""  # MLflow run that holds its metrics and artefacts
    aliases: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict, hash=False)
    created: float = 0.0  # seconds since 1970


def resolve_alias(tracking_uri: str, name: str, alias: str) -> ModelVersion | None:
    """The version an alias points to; None when the model or the alias does not exist yet."""
    return next((version for version in list_versions(tracking_uri, name) if alias in version.aliases), None)


def list_versions(tracking_uri: str, name: str | None = None) -> list[ModelVersion]:
    """All versions of one model, or of all, newest first.

    Errors: StorageError when the store cannot be read, SetupError for a kind of URI that is not known.
    """
    if tracking_uri.startswith(SQLITE):
        return _from_sqlite(Path(tracking_uri.removeprefix(SQLITE)), name)
    if tracking_uri.startswith(("http://", "https://")):
        return _from_server(tracking_uri, name)
    raise SetupError("this registry address is not understood", where=tracking_uri, hint="use sqlite:///path or the http(s) address of an MLflow server")


@contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{urllib.parse.quote(str(path))}?mode=ro", uri=True, timeout=_TIMEOUT)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def _from_sqlite(path: Path, name: str | None) -> list[ModelVersion]:
    if not path.exists():
        return []
    condition, values = ("WHERE name = ?", (name,)) if name else ("", ())
    try:
        with _read_only(path) as database:
            rows = database.execute(f"SELECT * FROM model_versions {condition}", values).fetchall()
            aliases = database.execute(f"SELECT * FROM registered_model_aliases {condition}", values).fetchall()
            tags = database.execute(f"SELECT * FROM model_version_tags {condition}", values).fetchall()
    except sqlite3.Error as error:
        raise StorageError(f"cannot read the registry: {error}", where=str(path), hint="is another program writing to it, or is the file damaged?") from error
    return _newest_first(
        _version(
            dict(row) | {"run_id": row["run_id"], "created": row["creation_time"]},
            [a["alias"] for a in aliases if (a["name"], a["version"]) == (row["name"], row["version"])],
            {t["key"]: t["value"] for t in tags if (t["name"], t["version"]) == (row["name"], row["version"])},
        )
        for row in rows
        if row["current_stage"] != "Deleted_Internal"
    )


def _from_server(address: str, name: str | None) -> list[ModelVersion]:
    names = [name] if name else [model["name"] for model in _pages(address, "registered-models/search", "registered_models")]
    found = []
    for each in names:
        aliases = _aliases(address, each)
        for row in _pages(address, "model-versions/search", "model_versions", filter=f"name='{each}'"):
            tags = {tag["key"]: tag["value"] for tag in row.get("tags", ())}
            found.append(_version(row | {"created": row["creation_timestamp"]}, aliases.get(row["version"], []), tags))
    return _newest_first(found)


def _aliases(address: str, name: str) -> dict[str, list[str]]:
    answer = _get(address, "registered-models/get", name=name)
    found: dict[str, list[str]] = {}
    for alias in (answer or {}).get("registered_model", {}).get("aliases", ()):
        found.setdefault(alias["version"], []).append(alias["alias"])
    return found


def _pages(address: str, call: str, key: str, **query: str) -> Iterator[dict[str, Any]]:
    token = ""
    while True:
        answer = _get(address, call, **query, **({"page_token": token} if token else {})) or {}
        yield from answer.get(key, ())
        token = answer.get("next_page_token", "")
        if not token:
            return


def _get(address: str, call: str, **query: str) -> dict[str, Any] | None:
    url = f"{address.rstrip('/')}/api/2.0/mlflow/{call}?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            return json.load(answer)  # type: ignore[no-any-return]
    except urllib.error.HTTPError as error:
        if error.code == 404:  # RESOURCE_DOES_NOT_EXIST: nothing registered under this name yet
            return None
        raise StorageError(f"the registry answered {error.code}", where=url) from error
    except OSError as error:
        raise StorageError(f"the registry does not answer: {error}", where=address, hint="is the MLflow server running?") from error


def _version(row: dict[str, Any], aliases: list[str], tags: dict[str, str]) -> ModelVersion:
    return ModelVersion(
        name=row["name"],
        version=str(row["version"]),
        uri=row["source"],
        fingerprint=tags.get(FINGERPRINT_TAG, ""),
        run=row.get("run_id") or "",
        aliases=tuple(sorted(aliases)),
        tags=tags,
        created=float(row["created"] or 0) / 1000,
    )


def _newest_first(versions: Any) -> list[ModelVersion]:
    return sorted(versions, key=lambda version: (version.name, -int(version.version)))
