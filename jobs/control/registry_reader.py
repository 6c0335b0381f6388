"""Reads the registry without importing MLflow, which costs 2 to 5 s and some 200 MB per process.

A serving replica follows an alias and the command line lists versions; both only read. A local store is opened
as read-only SQLite, a server through its REST API. A test compares every answer with MLflow's own client.
"""

from __future__ import annotations

import json
import sqlite3
import urllib.parse
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.contracts.errors import SetupError, StorageError
from jobs.control.mlflow_http import ServerError, get_json, is_server

FINGERPRINT_TAG = "seatrial.bundle"  # version tag with the bundle's fingerprint
SQLITE = "sqlite:///"
_TIMEOUT = 10  # seconds that a writer may hold the store
_QUERY = """
SELECT *,
  (SELECT json_group_array(alias) FROM registered_model_aliases AS a WHERE (a.name, a.version) = (v.name, v.version)) AS aliases,
  (SELECT json_group_object(key, value) FROM model_version_tags AS t WHERE (t.name, t.version) = (v.name, v.version)) AS tags
FROM model_versions AS v
"""


@dataclass(frozen=True)
class RegisteredModel:
    """What a registered name carries beside its versions."""

    aliases: dict[str, str]  # alias -> version
    tags: dict[str, str]


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
    server: str = ""  # address of the MLflow server that said so; empty for a store of this machine


def resolve_alias(tracking_uri: str, name: str, alias: str) -> ModelVersion | None:
    """The version an alias points to; None when the model or the alias does not exist yet. One query or one request, because it is polled.

    Errors: as :func:`list_versions`.
    """
    if is_server(tracking_uri):
        answer = _get(tracking_uri, "registered-models/alias", name=name, alias=alias)
        return _served(tracking_uri, answer["model_version"]) if answer else None
    found = _from_sqlite(
        _store(tracking_uri), "WHERE (name, version) = (SELECT name, version FROM registered_model_aliases WHERE name = ? AND alias = ?)", name, alias
    )
    return found[0] if found else None


def read_model(tracking_uri: str, name: str) -> RegisteredModel | None:
    """Aliases and tags of a name, or None before it is registered. One connection or one request, because it is polled.

    Errors: as :func:`list_versions`.
    """
    if not is_server(tracking_uri):
        return _model_from_sqlite(_store(tracking_uri), name)
    answer = _get(tracking_uri, "registered-models/get", name=name)
    if answer is None:
        return None
    found = answer["registered_model"]
    return RegisteredModel(
        {each["alias"]: each["version"] for each in found.get("aliases", ())}, {each["key"]: each["value"] for each in found.get("tags", ())}
    )


def model_tags(tracking_uri: str, name: str) -> dict[str, str]:
    """Errors: as :func:`list_versions`."""
    found = read_model(tracking_uri, name)
    return found.tags if found else {}


def read_version(tracking_uri: str, name: str, version: str) -> ModelVersion | None:
    """One version, its aliases left out on a server.

    Errors: as :func:`list_versions`.
    """
    if is_server(tracking_uri):
        answer = _get(tracking_uri, "model-versions/get", name=name, version=version)
        return _served(tracking_uri, answer["model_version"]) if answer else None
    found = _from_sqlite(_store(tracking_uri), "WHERE name = ? AND version = ?", name, version)
    return found[0] if found else None


def list_versions(tracking_uri: str, name: str | None = None) -> list[ModelVersion]:
    """All versions of one model, or of all, newest first.

    Errors: StorageError when the store cannot be read, SetupError for a kind of URI that is not known.
    """
    if is_server(tracking_uri):
        return _newest_first(_from_server(tracking_uri, name))
    return _newest_first(_from_sqlite(_store(tracking_uri), *(("WHERE name = ?", name) if name else ())))


def _store(tracking_uri: str) -> Path:
    if not tracking_uri.startswith(SQLITE):
        raise SetupError("this registry address is not understood", where=tracking_uri, hint="use sqlite:///path or the http(s) address of an MLflow server")
    return Path(tracking_uri.removeprefix(SQLITE))


@contextmanager
def _read_only(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{urllib.parse.quote(str(path))}?mode=ro", uri=True, timeout=_TIMEOUT)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def _model_from_sqlite(path: Path, name: str) -> RegisteredModel | None:
    if not path.exists():
        return None
    with _readable(path) as database:
        if database.execute("SELECT 1 FROM registered_models WHERE name = ?", (name,)).fetchone() is None:
            return None
        aliases = database.execute("SELECT alias, version FROM registered_model_aliases WHERE name = ?", (name,)).fetchall()
        tags = database.execute("SELECT key, value FROM registered_model_tags WHERE name = ?", (name,)).fetchall()
    return RegisteredModel({alias: str(version) for alias, version in aliases}, dict(map(tuple, tags)))


@contextmanager
def _readable(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with _read_only(path) as database:
            yield database
    except sqlite3.Error as error:
        raise StorageError(f"cannot read the registry: {error}", where=str(path), hint="is another program writing to it, or is the file damaged?") from error


def _from_sqlite(path: Path, condition: str = "", *values: str) -> list[ModelVersion]:
    if not path.exists():
        return []
    with _readable(path) as database:
        rows = database.execute(f"{_QUERY} {condition}", values).fetchall()
    return [
        _version(row, json.loads(row["aliases"]), json.loads(row["tags"]), created=row["creation_time"])
        for row in map(dict, rows)
        if row["current_stage"] != "Deleted_Internal"
    ]


def _from_server(address: str, name: str | None) -> Iterator[ModelVersion]:
    names = [name] if name else [model["name"] for model in _pages(address, "registered-models/search", "registered_models")]
    for each in names:
        aliases = _aliases(address, each)
        for row in _pages(address, "model-versions/search", "model_versions", filter=f"name='{each}'"):
            yield _served(address, row | {"aliases": aliases.get(row["version"], [])})


def _aliases(address: str, name: str) -> dict[str, list[str]]:
    """A search leaves them out of the versions that it finds."""
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
    """None for a model or alias that nobody made yet."""
    try:
        return get_json(address, f"/api/2.0/mlflow/{call}", **query)
    except ServerError as error:
        no_alias = error.code == "INVALID_PARAMETER_VALUE" and error.what.endswith("not found.")  # MLflow has no code of its own for it
        if no_alias or error.code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _served(address: str, row: dict[str, Any]) -> ModelVersion:
    tags = {tag["key"]: tag["value"] for tag in row.get("tags", ())}
    return _version(row, row.get("aliases", ()), tags, created=row["creation_timestamp"], server=address)


def _version(row: dict[str, Any], aliases: Iterable[str], tags: dict[str, str], *, created: float | None, server: str = "") -> ModelVersion:
    return ModelVersion(
        name=row["name"],
        version=str(row["version"]),
        uri=row["source"],
        fingerprint=tags.get(FINGERPRINT_TAG, ""),
        run=row.get("run_id") or "",
        aliases=tuple(sorted(aliases)),
        tags=tags,
        created=float(created or 0) / 1000,
        server=server,
    )


def _newest_first(versions: Iterable[ModelVersion]) -> list[ModelVersion]:
    return sorted(versions, key=lambda version: (version.name, -int(version.version)))
