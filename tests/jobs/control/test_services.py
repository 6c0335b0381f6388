"""The Ray of a run, on the real engine."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import psutil
import pytest

from drills.sandbox import free_port
from jobs.control.home import Home
from jobs.control.services import Services, read_service


def test_a_ray_that_is_lost_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = Home(tmp_path / ".seatrial")
    home.create()
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
