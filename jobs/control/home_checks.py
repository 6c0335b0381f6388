"""The state of a home: its folder, its databases, its service, and what interrupted work left behind. Only looks."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psutil

from jobs.contracts.states import JobState
from jobs.control import processes, runs
from jobs.control.home import Home
from jobs.control.locks import held
from jobs.control.machine import Check
from jobs.control.services import get_json

_GIB = 2**30
_DISK_LOW, _DISK_NEEDED = 5 * _GIB, _GIB // 2  # bytes; a voyage of the flights example leaves about 0.3 GiB


def disk(home: Home, free: int | None = None) -> Check:
    place = next(folder for folder in [home.root, *home.root.parents] if folder.exists())
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return Check("home", "fail", f"{place} is not ours to write", "check the folder's owner, or set SEATRIAL_HOME to another one")
    free = shutil.disk_usage(place).free if free is None else free
    state = "" if place == home.root else " (not made yet: the first run makes it)"
    text = f"{home.root}{state}, {free / _GIB:.1f} GiB free"
    if free >= _DISK_LOW:
        return Check("home", "ok", text)
    return Check("home", "fail" if free < _DISK_NEEDED else "warn", text, "free some space, or set SEATRIAL_HOME to a larger disk")


def databases(home: Home) -> Iterator[Check]:
    for name, loss in (("state.db", "move it away: it only remembers handles"), ("mlflow.db", "restore it from a copy: it holds the registry and its runs")):
        path = home.root / name
        if path.exists():
            try:
                with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1)) as database:
                    tables = database.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
                yield Check(name, "ok", f"readable, {tables} tables")
            except sqlite3.Error as error:
                yield Check(name, "fail", f"{path}: {error}", loss)


def service(home: Home) -> Check:
    record = service_record(home)
    if record is None:
        return Check("service", "ok", "none is up")
    if not processes.running(record):
        return Check("service", "warn", "one was up and its process is gone", "start it again: seatrial serve up MODEL")
    code, _ = get_json(f"{record['url']}/v2/health/live", timeout=1)
    if code == 0:
        return Check("service", "warn", f"its process {record['pid']} runs, but {record['url']} does not answer", f"read the logs in {home.root / 'service'}")
    return Check("service", "ok", f"up at {record['url']} for {' and '.join(record.get('models') or [str(record.get('model'))])}")


def service_record(home: Home) -> dict[str, Any] | None:
    """``service.json`` as it is; unlike services.read_service it stays where it is when its process is gone."""
    try:
        record = json.loads(home.service.read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and "url" in record else None


def leftovers(home: Home) -> Iterator[Check]:
    """Runs whose driver is gone, and temporary folders of writers that are gone."""
    halted = [record.run for record in runs.list_runs(home) if record.state == JobState.RUNNING and not held(home.runs / record.run / "lock")]
    if halted:
        yield Check("runs", "warn", f"nobody works on {', '.join(halted[:3])}{' …' if len(halted) > 3 else ''}", "the same `seatrial run FILE` goes on with it")
    stale = [folder for folder in home.root.glob("code/.*.*") if not _alive(folder.suffix[1:])]
    stale += [folder for folder in home.datasets.glob("*/*.tmp") if not held(folder / ".lock")]
    if stale:
        size = sum(file.stat().st_size for folder in stale for file in folder.rglob("*") if file.is_file())
        text = f"{len(stale)} left behind by interrupted work, {size / 2**20:.0f} MiB"
        yield Check("temporary folders", "warn", text, f"delete them when nothing runs: {', '.join(map(str, stale[:2]))}{' …' if len(stale) > 2 else ''}")


def _alive(pid: str) -> bool:
    return pid.isdigit() and psutil.pid_exists(int(pid))
