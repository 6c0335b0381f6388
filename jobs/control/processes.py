"""Child processes that lead sessions of their own: recognise them later, and end them whole."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
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
    """End a process and all it started: SIGTERM to itself alone, then SIGKILL to whatever is left of its tree and its session.

    Not to its whole group at once: a Ray whose parts all stop together waits long for each other. A leader that was killed leaves
    processes that are nobody's children any more; the session still knows them.

    ``child``: the leader, where this process started it, so that its exit code is not lost to somebody else's wait.
    """
    family = _family(pid)
    leader = next((process for process in family if process.pid == pid), None)
    if leader:
        with suppress(psutil.Error):
            leader.terminate()
        _wait(leader, child, grace)
    for process in family:
        with suppress(psutil.Error):
            process.kill()
    if leader:
        _wait(leader, child, grace)
    psutil.wait_procs([process for process in family if process is not leader], timeout=grace)


def _family(pid: int) -> list[psutil.Process]:
    """The process, all below it, and all of the session that it leads or led."""
    found = {each.pid: each for each in psutil.process_iter() if _session(each.pid) == pid}
    with suppress(psutil.Error):
        leader = psutil.Process(pid)
        found |= {each.pid: each for each in (leader, *leader.children(recursive=True))}
    return list(found.values())


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:  # it has just ended, or is not ours to ask
        return 0


def _wait(leader: psutil.Process, child: subprocess.Popen[bytes] | None, limit: float) -> None:
    try:
        child.wait(limit) if child else leader.wait(limit)
    except (subprocess.TimeoutExpired, psutil.Error):
        return
