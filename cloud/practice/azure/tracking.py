"""Runs as MLflow knows them: state, parameters, metrics and tags, in SQLite.

Every job is a run with the job's name as its id. Metrics keep their history; a sweep's objective is read from here.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

_SCHEMA = """
create table if not exists runs
  (id text primary key, experiment text, name text, status text, started integer, ended integer, artifacts text, deleted integer default 0);
create table if not exists metrics (run text, key text, value real, timestamp integer, step integer);
create table if not exists params (run text, key text, value text, primary key (run, key));
create table if not exists tags (run text, key text, value text, primary key (run, key));
create index if not exists metrics_of on metrics (run, key);
"""
_COLUMNS = ("id", "experiment", "name", "status", "started", "ended", "artifacts", "deleted")


class Tracking:
    """Use from any thread. Times are milliseconds since the epoch, as in MLflow."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = off")  # practice metrics may be lost with the machine
        self._database.executescript(_SCHEMA)

    def start(self, run: str, experiment: str, name: str, artifacts: Path | str) -> None:
        self._execute("insert or replace into runs values (?, ?, ?, 'RUNNING', ?, null, ?, 0)", run, experiment, name, milliseconds(), str(artifacts))
        self.tag(run, {"mlflow.runName": name})

    def update(self, run: str, *, status: str = "", ended: int | None = None, name: str = "") -> None:
        for column, value in (("status", status), ("ended", ended), ("name", name)):
            if value:
                self._execute(f"update runs set {column} = ? where id = ?", value, run)

    def finish(self, run: str, status: str) -> None:
        self._execute("update runs set status = ?, ended = ? where id = ?", status, milliseconds(), run)

    def log(self, run: str, metrics: list[dict[str, Any]]) -> None:
        rows = [(run, each["key"], float(each["value"]), int(each.get("timestamp") or milliseconds()), int(each.get("step") or 0)) for each in metrics]
        with self._lock:
            self._database.executemany("insert into metrics values (?, ?, ?, ?, ?)", rows)

    def params(self, run: str, given: dict[str, str]) -> str:
        """Store parameters; the key of one that is there with another value, which MLflow forbids."""
        with self._lock:
            for key, value in given.items():
                row = self._database.execute("select value from params where run = ? and key = ?", (run, key)).fetchone()
                if row and row[0] != value:
                    return key
                self._database.execute("insert or replace into params values (?, ?, ?)", (run, key, value))
        return ""

    def tag(self, run: str, given: dict[str, str]) -> None:
        for key, value in given.items():
            self._execute("insert or replace into tags values (?, ?, ?)", run, key, value)

    def untag(self, run: str, key: str) -> None:
        self._execute("delete from tags where run = ? and key = ?", run, key)

    def run(self, run: str) -> dict[str, Any] | None:
        rows = self._rows(f"select {', '.join(_COLUMNS)} from runs where id = ?", run)
        return dict(zip(_COLUMNS, rows[0], strict=True)) if rows else None

    def runs(self, experiments: list[str]) -> list[str]:
        """Ids, newest first; of all experiments without one."""
        marks = ", ".join("?" for _ in experiments)
        where = f" where experiment in ({marks})" if experiments else ""
        return [row[0] for row in self._rows(f"select id from runs{where} order by started desc, rowid desc", *experiments)]

    def experiments(self) -> list[str]:
        return [row[0] for row in self._rows("select distinct experiment from runs order by experiment")]

    def history(self, run: str, key: str) -> list[dict[str, Any]]:
        rows = self._rows("select value, timestamp, step from metrics where run = ? and key = ? order by rowid", run, key)
        return [{"key": key, "value": value, "timestamp": at, "step": step} for value, at, step in rows]

    def data(self, run: str) -> dict[str, list[dict[str, Any]]]:
        """The last value of every metric, the parameters and the tags, as MLflow shows a run."""
        keys = [row[0] for row in self._rows("select distinct key from metrics where run = ?", run)]
        last = [max(self.history(run, key), key=lambda each: (each["step"], each["timestamp"])) for key in keys]
        pairs = {
            table: [{"key": key, "value": value} for key, value in self._rows(f"select key, value from {table} where run = ?", run)]
            for table in ("params", "tags")
        }
        return {"metrics": last, **pairs}

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(query, values).fetchall()

    def _execute(self, query: str, *values: Any) -> None:
        with self._lock:
            self._database.execute(query, values)

    def close(self) -> None:
        with self._lock:
            self._database.close()


def milliseconds() -> int:
    return int(time.time() * 1000)
