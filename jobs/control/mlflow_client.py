"""Opens MLflow: the one place that imports it, because importing takes seconds and it logs and phones home by default."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.contracts.errors import SeatrialError, StorageError, disk_full, from_os_error, missing_extra
from jobs.control.mlflow_http import is_server
from jobs.control.registry_reader import SQLITE

if TYPE_CHECKING:
    from mlflow import MlflowClient


def open_client(tracking_uri: str) -> MlflowClient:
    """A client of a store, whose tables are made if it is new.

    Errors: SetupError without the extra, StorageError when the store cannot be opened.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines a run, amid our own
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError as error:
        raise missing_extra("mlflow", "registry") from error
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it logs, with a traceback, what it raises as well
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        if tracking_uri.startswith(SQLITE):
            _create_tables(Path(tracking_uri.removeprefix(SQLITE)))
        return MlflowClient(tracking_uri, tracking_uri)
    except (MlflowException, OSError) as error:
        raise StorageError(f"cannot open the model registry: {error}", where=tracking_uri, hint="check the address, and that the disk is not full") from error


@contextmanager
def translate(tracking_uri: str) -> Iterator[None]:
    """What MLflow and the libraries below it have to say, as errors of ours."""
    try:
        yield
    except SeatrialError:
        raise
    except OSError as error:
        raise from_os_error(error, str(error.filename or tracking_uri)) from error
    except Exception as error:
        if not type(error).__module__.startswith(("mlflow.", "requests.", "sqlalchemy.")):
            raise
        database = _database_error(error)
        if getattr(database, "sqlite_errorname", "") == "SQLITE_FULL":
            raise disk_full(tracking_uri.removeprefix(SQLITE)) from error
        told = str(database or error).strip().partition("\n")[0]
        hint = (
            "is the MLflow server running, and do the credentials allow writing?"
            if is_server(tracking_uri)
            else "check the disk, and run the same command again"
        )
        raise StorageError(f"the model registry refused: {told}", where=tracking_uri, hint=hint) from error


def _database_error(error: BaseException | None) -> BaseException | None:
    """What the database itself said, if it was one: MLflow's and SQLAlchemy's words around it say less."""
    while error is not None:
        if found := getattr(error, "orig", None):
            return found
        error = error.__cause__
    return None


def _create_tables(path: Path) -> None:
    """Build a new store beside its place and rename it: a kill half-way through some 60 migrations leaves nothing."""
    if path.exists():
        return
    from mlflow.store.db import utils

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    engine = utils.create_sqlalchemy_engine_with_retry(f"{SQLITE}{temporary}")
    utils._initialize_tables(engine)
    engine.dispose()
    with sqlite3.connect(temporary) as database:
        # Serving replicas read while the driver writes: in WAL mode neither waits for the other.
        database.execute("PRAGMA journal_mode=WAL")
    database.close()
    if path.exists():
        temporary.unlink()
    else:
        os.replace(temporary, path)
