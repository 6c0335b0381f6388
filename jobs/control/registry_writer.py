"""Moves aliases and sets a model's tags without importing MLflow, in milliseconds instead of seconds.

A rollback must not wait for an import, and the actor that makes it must not hold 200 MB. On the embedded store everything is
one transaction of SQLite; on a server it is one REST call each, in the order given, of which the alias is the one that counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from jobs.contracts.errors import RequestError, SetupError, StorageError
from jobs.control.mlflow_http import ServerError, is_server, send_json
from jobs.control.registry_reader import SQLITE, model_tags

_TIMEOUT = 10  # seconds that another writer may hold the store
_SET_TAG = "INSERT OR REPLACE INTO registered_model_tags (workspace, name, key, value) VALUES (?, ?, ?, ?)"
_API = "/api/2.0/mlflow/registered-models"


class Outdated(RequestError):
    """Somebody else took a step in between."""


def change(
    tracking_uri: str,
    name: str,
    *,
    tags: Mapping[str, str],
    aliases: Mapping[str, str],
    forget: Iterable[str] = (),
    expect: tuple[str, str | None] | None = None,
) -> None:
    """Set tags of a registered model, move aliases and remove the tags in ``forget``.

    ``expect``: (tag, value or None) that must still hold. On a server it is read just before the first call, because MLflow has no
    conditional write.
    Errors: Outdated when it does not hold; RequestError for a model or version that does not exist; StorageError.
    """
    if is_server(tracking_uri):
        _on_server(tracking_uri, name, tags, aliases, forget, expect)
    elif tracking_uri.startswith(SQLITE):
        _in_sqlite(Path(tracking_uri.removeprefix(SQLITE)), name, tags, aliases, forget, expect)
    else:
        raise SetupError("this registry address is not understood", where=tracking_uri, hint="use sqlite:///path or the http(s) address of an MLflow server")


def _in_sqlite(
    path: Path, name: str, tags: Mapping[str, str], aliases: Mapping[str, str], forget: Iterable[str], expect: tuple[str, str | None] | None
) -> None:
    if not path.exists():
        raise _no_model(name, str(path))
    try:
        with closing(sqlite3.connect(path, timeout=_TIMEOUT, isolation_level=None)) as database:
            database.execute("PRAGMA foreign_keys=ON")
            database.execute("BEGIN IMMEDIATE")  # the lock first, so that nobody writes between the look and the change
            workspace = _workspace(database, name, str(path))
            if expect is not None:
                found = database.execute(
                    "SELECT value FROM registered_model_tags WHERE (workspace, name, key) = (?, ?, ?)", (workspace, name, expect[0])
                ).fetchone()
                _check(found[0] if found else None, expect, name)
            for key, value in tags.items():
                database.execute(
                    "INSERT OR REPLACE INTO registered_model_tags (workspace, name, key, value) VALUES (?, ?, ?, ?)", (workspace, name, key, value)
                )
            database.executemany("DELETE FROM registered_model_tags WHERE (workspace, name, key) = (?, ?, ?)", [(workspace, name, key) for key in forget])
            for alias, version in aliases.items():
                _move(database, workspace, name, alias, version)
            database.execute("COMMIT")
    except sqlite3.Error as error:
        raise StorageError(f"the model registry refused: {error}", where=str(path), hint="check the disk, and run the same command again") from error


def _workspace(database: sqlite3.Connection, name: str, where: str) -> str:
    found = database.execute("SELECT workspace FROM registered_models WHERE name = ?", (name,)).fetchone()
    if found is None:
        raise _no_model(name, where)
    return str(found[0])


def _tag(database: sqlite3.Connection, workspace: str, name: str, key: str) -> str | None:
    query = "SELECT value FROM registered_model_tags WHERE (workspace, name, key) = (?, ?, ?)"
    found = database.execute(query, (workspace, name, key)).fetchone()
    return found[0] if found else None


def _move(database: sqlite3.Connection, workspace: str, name: str, alias: str, version: str) -> None:
    query = "SELECT 1 FROM model_versions WHERE (workspace, name, version) = (?, ?, ?) AND current_stage != 'Deleted_Internal'"
    if not version.isdigit() or database.execute(query, (workspace, name, int(version))).fetchone() is None:
        raise RequestError(f"{name} has no version {version}", hint="seatrial models list")
    values = (workspace, name, alias, int(version))
    database.execute("INSERT OR REPLACE INTO registered_model_aliases (workspace, name, alias, version) VALUES (?, ?, ?, ?)", values)


def _on_server(
    address: str, name: str, tags: Mapping[str, str], aliases: Mapping[str, str], forget: Iterable[str], expect: tuple[str, str | None] | None
) -> None:
    if expect is not None:
        _check(model_tags(address, name).get(expect[0]), expect, name)
    try:
        for alias, version in aliases.items():
            send_json(address, f"{_API}/alias", {"name": name, "alias": alias, "version": version})
        for key, value in tags.items():
            send_json(address, f"{_API}/set-tag", {"name": name, "key": key, "value": value})
        for key in forget:
            send_json(address, f"{_API}/delete-tag", {"name": name, "key": key}, method="DELETE")
    except ServerError as error:
        if error.code == "RESOURCE_DOES_NOT_EXIST":
            raise RequestError(error.what, where=address, hint="seatrial models list") from error
        raise


def _check(found: Any, expect: tuple[str, str | None], name: str) -> None:
    if found != expect[1]:
        raise Outdated("somebody else changed the rollout meanwhile", where=name, hint="look at seatrial serve status, and decide again")


def _no_model(name: str, where: str) -> RequestError:
    return RequestError(f"no model {name!r} is registered here", where=where, hint="`seatrial run FILE` registers one")
