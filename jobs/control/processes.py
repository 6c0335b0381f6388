"""Child processes that lead sessions of their own: recognise them later, and end them whole."""

from __future__ import annotations

import os
import signal
from typing import Any

import psutil

GRACE = 10.0  # seconds between SIGTERM and SIGKILL


def identify(pid: int) -> dict[str, Any]:
    """What recognises a process later: its pid, and its start time because pids are given out again."""
    return {"pid": pid, "started": psutil.Process(pid).create_time()}


def running(identity: dict[str, Any]) -> int:
    """The pid of an identified process while it runs, else 0."""
    try:
        process = psutil.Process(identity["pid"])
        same = abs(process.create_time() - identity["started"]) < 1.0
        return process.pid if same and process.status() != psutil.STATUS_ZOMBIE else 0
    except (psutil.Error, KeyError, TypeError):
        return 0


def stop_session(pid: int, grace: float = GRACE) -> None:
    """End a session leader and all it started: SIGTERM to its group, then SIGKILL to whatever is left of its tree."""
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return
    _signal_group(pid, signal.SIGTERM)
    _, left = psutil.wait_procs([leader], timeout=grace)
    for process in [*left, *(member for member in family if member.is_running())]:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(family, timeout=grace)


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
