"""``state.db``: every job that was submitted from this home, so that any later process finds it again.

A cache for listings, in SQLite with a write-ahead log: what :meth:`Handles.record` has returned from survives ``kill -9``,
and any number of processes may write. What jobs *made* is in ``runs/``; losing this file loses no work.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.contracts.errors import IntegrityError, RequestError, SeatrialError, StorageError, disk_full, from_os_error
from jobs.contracts.states import JobState

if TYPE_CHECKING:  # listing jobs needs neither pyarrow nor pydantic
    from jobs.control.home import Home
    from jobs.control.plan import Plan

FILE = "state.db"
KEPT = 10_000  # newest records that stay; unfinished jobs stay in any case
_ROOM = 1 << 16  # bytes that SQLite needs beside the file itself
_PATIENCE = 30.0  # seconds to wait for other writers; each needs milliseconds
_VERSION = 1
_TABLE = """
CREATE TABLE jobs (
    handle TEXT PRIMARY KEY, target TEXT NOT NULL, pipeline TEXT NOT NULL, run TEXT NOT NULL, step TEXT NOT NULL, kind TEXT NOT NULL,
    folder TEXT NOT NULL, outputs TEXT NOT NULL, alone INTEGER NOT NULL, submitted REAL NOT NULL, state TEXT NOT NULL, updated REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX jobs_submitted ON jobs (submitted);
"""


@dataclass(frozen=True)
class JobRecord:
    handle: str
    target: str
    pipeline: str
    run: str
    step: str
    kind: str
    folder: str  # URI of the step's folder in the target's store
    outputs: Mapping[str, str]  # name -> URI
    alone: bool  # one step by itself (`seatrial submit`): no pipeline driver collects what it makes
    submitted: float  # seconds since 1970
    state: JobState  # as last seen
    updated: float  # when it was seen, seconds since 1970

    @property
    def name(self) -> str:
        return f"{self.run}/{self.step}"


class Handles:
    """Each call opens and closes the file, so an object may be kept by any thread for any time."""

    def __init__(self, home: Home) -> None:
        self._path = home.root / FILE

    def record(self, plan: Plan, pipeline: str, kind: str, *, alone: bool = False) -> None:
        """Write a job down as queued, before it is sent. One that is there already keeps its first time of submission."""
        self._make()
        now = time.time()
        row = (plan.handle, plan.target, pipeline, plan.run, plan.step, kind, plan.folder, json.dumps(dict(plan.outputs)), alone, now, JobState.QUEUED, now)
        with self._writing() as database:
            database.execute(
                "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (handle) DO UPDATE SET folder = excluded.folder, outputs = excluded.outputs, state = excluded.state, updated = excluded.updated",
                row,
            )
            self._prune(database)

    def moved(self, planned: str, handle: str) -> None:
        """The target gave a job another address than the plan could know."""
        if planned == handle:
            return
        with self._writing() as database:
            database.execute("UPDATE OR REPLACE jobs SET handle = ? WHERE handle = ?", (handle, planned))

    def update(self, handle: str, state: JobState) -> None:
        """The state as seen just now; a handle that is not recorded here is passed over."""
        if not self._path.exists():
            return
        with self._writing() as database:
            database.execute("UPDATE jobs SET state = ?, updated = ? WHERE handle = ?", (state, time.time(), handle))

    def all(self) -> list[JobRecord]:
        """Newest first."""
        return self._select("ORDER BY submitted DESC, handle")

    def find(self, handle: str) -> JobRecord | None:
        return next(iter(self._select("WHERE handle = ?", handle)), None)

    def of_run(self, run: str) -> list[JobRecord]:
        """A run's jobs, oldest first."""
        return self._select("WHERE run = ? ORDER BY submitted, handle", run)

    def _select(self, clause: str, *values: str) -> list[JobRecord]:
        if not self._path.exists():
            return []
        with self._open() as database:
            rows = database.execute(f"SELECT * FROM jobs {clause}", values).fetchall()
        return [_record(*row) for row in rows]

    def _prune(self, database: sqlite3.Connection) -> None:
        old = "SELECT handle FROM jobs ORDER BY submitted DESC LIMIT -1 OFFSET ?"
        ended = (JobState.SUCCEEDED, JobState.FAILED, JobState.STOPPED, JobState.UNKNOWN)
        database.execute(f"DELETE FROM jobs WHERE state IN (?, ?, ?, ?) AND handle IN ({old})", (*ended, KEPT))

    def _make(self) -> None:
        """Make the file under another name and link it into place whole: nobody ever opens half a database."""
        if self._path.exists():
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise from_os_error(error, str(self._path.parent)) from error
        new = self._path.with_name(f".{FILE}.{os.getpid()}.{time.monotonic_ns()}")
        try:
            with _connected(new) as database:
                # Readers and one writer at once. The mode is written in the file; WAL files themselves vanish with the last connection.
                database.execute("PRAGMA journal_mode = WAL")
                database.executescript(f"{_TABLE} PRAGMA user_version = {_VERSION};")
            os.link(new, self._path)
        except FileExistsError:
            pass  # another process was first
        except sqlite3.Error as error:
            raise _translate(error, self._path) from error
        except OSError as error:
            raise from_os_error(error, str(self._path)) from error
        finally:
            new.unlink(missing_ok=True)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with _connected(self._path) as database:
                self._check_version(database)
                yield database
        except sqlite3.Error as error:
            raise _translate(error, self._path) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction with the write lock from its start: a reader that becomes a writer half-way could not wait for others."""
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")

    def _check_version(self, database: sqlite3.Connection) -> None:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > _VERSION:
            raise RequestError("this list of jobs was written by a newer Seatrial", where=str(self._path), hint="upgrade this one, or set SEATRIAL_HOME")


def _record(
    handle: str, target: str, pipeline: str, run: str, step: str, kind: str, folder: str, outputs: str, alone: int, submitted: float, state: str, updated: float
) -> JobRecord:
    return JobRecord(handle, target, pipeline, run, step, kind, folder, json.loads(outputs), bool(alone), submitted, JobState(state), updated)


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous = FULL")  # a job that was written down is still there after a power cut
        yield database
    finally:
        database.close()


def _translate(error: sqlite3.Error, path: Path) -> SeatrialError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StorageError(f"another process has held the list of jobs for {_PATIENCE:.0f} s", where=str(path), hint="end that process and repeat the command")
    # Without room for its shared memory SQLite speaks of an I/O error only.
    if name.startswith("SQLITE_FULL") or (name.startswith("SQLITE_IOERR") and shutil.disk_usage(path.parent).free < _ROOM):
        return disk_full(str(path))
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH", "SQLITE_IOERR")):
        return StorageError(f"cannot read or write the list of jobs: {error}", where=str(path), hint="check the folder's owner and that it is on a local disk")
    return IntegrityError(
        f"the list of submitted jobs is damaged: {error}",
        where=str(path),
        hint=f"move it away (mv {path} {path}.damaged) and go on: runs and what they made lie in {path.parent / 'runs'} and are not touched",
    )
