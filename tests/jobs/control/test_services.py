"""The Ray of a run, on the real engine."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest

from drills.sandbox import free_port
from jobs.contracts.errors import SetupError
from jobs.control import processes
from jobs.control import services as service_module
from jobs.control.home import Home
from jobs.control.services import Services, read_service


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / ".seatrial")
    home.create()
    return home


def test_a_ray_that_is_lost_is_replaced(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    services = Services(home, models=["tiny"], port=free_port())
    services.start(cpus=1, keep=False)
    try:
        first = services.ray_address()
        before = read_service(home)
        assert before is not None
        head = psutil.Process(before["pid"])
        family = [head, *head.children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family, timeout=10)
        deadline = time.monotonic() + 60
        while (after := read_service(home)) is None or after["pid"] == before["pid"]:
            assert time.monotonic() < deadline, "no other Ray was started"
            services.advance()
            time.sleep(0.1)
        assert services.ray_address() != first
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert "another one is started" in caplog.text
    finally:
        services.stop()
    assert read_service(home) is None


def test_a_run_beside_another_has_a_service_of_its_own(home: Home) -> None:
    first, second = (Services(home, models=["tiny"], port=free_port()) for _ in range(2))
    try:
        first.start(cpus=1, keep=False)
        second.start(cpus=1, keep=False)
        record = read_service(home)
        assert record is not None
        assert first.ray_address() != second.ray_address()
        first.stop()
        assert read_service(home) is None
        assert _listens(second.ray_address())
    finally:
        first.stop()
        second.stop()
    assert read_service(home) is None
    assert sorted(each.name for each in (home.root / "service").iterdir()) == ["lock", "ray.json", "ray.log"]


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5):
        return True


@pytest.mark.parametrize("keep", [False, True])
def test_the_service_of_another_run_is_not_taken_over(home: Home, keep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the same address there cannot be two, and only one is kept at a time."""
    monkeypatch.setattr(service_module, "_LET_GO", 0.5)
    port = free_port()
    record_of(home, os.getpid(), port)
    with pytest.raises(SetupError, match="another run has") as refused:
        Services(home, models=["tiny"], port=port + keep).start(cpus=1, keep=keep)
    assert "wait until" in refused.value.hint
    assert read_service(home) is not None


def test_what_a_killed_run_has_left_is_waited_for(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with subprocess.Popen(["sleep", "2"]) as left:
        record_of(home, left.pid, port)
        threading.Thread(target=left.wait).start()
        services = Services(home, models=["tiny"], port=port)
        services.start(cpus=1, keep=False)
    try:
        assert left.returncode == 0
        record = read_service(home)
        assert record is not None
        assert record["pid"] != left.pid
        assert "waiting for its end" in caplog.text
    finally:
        services.stop()


def record_of(home: Home, pid: int, port: int) -> None:
    home.service.write_text(json.dumps(processes.identify(pid) | {"url": f"http://127.0.0.1:{port}", "models": ["tiny"], "keep": False}))
