"""Child processes that lead sessions of their own: recognise them later, and end them whole."""

from __future__ import annotations

import os
import signal
import subprocess
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


def stop_session(pid: int, child: subprocess.Popen[bytes] | None = None, grace: float = GRACE) -> None:
    """End a session leader and all it started: SIGTERM to its group, then SIGKILL to whatever is left of its tree.

    ``child``: the leader, where this process started it, so that its exit code is not lost to somebody else's wait.
    """
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return
    _signal_group(pid, signal.SIGTERM)
    _wait(leader, child, grace)
    for process in family:
        try:
            process.kill()
        except psutil.Error:
            continue
    _wait(leader, child, grace)
    psutil.wait_procs(family[1:], timeout=grace)


def _wait(leader: psutil.Process, child: subprocess.Popen[bytes] | None, limit: float) -> None:
    try:
        child.wait(limit) if child else leader.wait(limit)
    except (subprocess.TimeoutExpired, psutil.Error):
        return


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
