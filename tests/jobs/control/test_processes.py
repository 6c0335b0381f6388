"""Sessions end whole, also when their leader was killed first."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from jobs.control import processes

# Starts a child, says its pid, and waits; the child would outlive it.
LEADER = "import subprocess, sys, time; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, flush=True); time.sleep(600)"


@pytest.fixture
def leader() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", LEADER], stdout=subprocess.PIPE, start_new_session=True)


def _child(leader: subprocess.Popen[bytes]) -> psutil.Process:
    assert leader.stdout is not None
    with leader.stdout:
        return psutil.Process(int(leader.stdout.readline()))


def _is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_session_ends_whole(leader: subprocess.Popen[bytes]) -> None:
    child = _child(leader)
    processes.stop_session(leader.pid, leader)
    assert leader.returncode is not None
    assert _is_gone(child)


def test_what_a_killed_leader_left_ends_too(leader: subprocess.Popen[bytes]) -> None:
    child = _child(leader)
    leader.kill()
    leader.wait()
    assert child.is_running()
    processes.stop_session(leader.pid, leader)
    assert _is_gone(child)


def test_nothing_else_ends() -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        processes.stop_session(other.pid + 1_000_000)
        time.sleep(0.1)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
