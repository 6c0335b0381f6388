"""What the executor leaves behind after many groups, however they ended: nothing."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cloud.practice.hosts import Executor, Host, HostGroup, Limits, isolation
from cloud.practice.hosts.isolation import FALLBACK, NAMESPACES, Isolation

# Each leaves something that somebody must clear away: a file in its temporary folder, and a process that has left its session.
LITTER = """
import os, subprocess, sys, tempfile, time
open(os.path.join(tempfile.gettempdir(), "litter"), "w").write("x" * 1000)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("ready", flush=True)
"""
ENDS = {"exits": LITTER, "fails": LITTER + "sys.exit(3)", "is stopped": LITTER + "time.sleep(600)", "is killed": LITTER + "time.sleep(600)"}


@pytest.fixture(params=[NAMESPACES, "user namespaces", FALLBACK])
def executor(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Executor]:
    prefixes = {NAMESPACES: isolation._UNSHARE, "user namespaces": (*isolation._UNSHARE, *isolation._AS_USER), FALLBACK: ()}
    prefix = prefixes[request.param]
    if prefix and not isolation._works(prefix):
        pytest.skip(f"no {request.param} here")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    executor = Executor(Isolation(NAMESPACES if prefix else FALLBACK, prefix))
    yield executor
    executor.close()


def group(executor: Executor, folder: Path, script: str) -> HostGroup:
    hosts = [
        Host(
            name=name,
            address=address,
            command=(sys.executable, "-c", script),
            environment={"PATH": os.environ["PATH"]},
            folder=folder / name,
            mounts={"/opt/ml": folder / name / "ml"},
            log=folder / f"{name}.log",
        )
        for name, address in zip(("a", "b"), executor.addresses(2), strict=True)
    ]
    for host in hosts:
        host.mounts["/opt/ml"].mkdir(parents=True, exist_ok=True)
    return HostGroup("job", tuple(hosts), Limits(grace=5))


def standing() -> tuple[int, int, set[int], str]:
    """Open files, threads, children and mounts of this process."""
    children = {child.pid for child in psutil.Process().children(recursive=True) if _lives(child)}
    return len(os.listdir("/proc/self/fd")), threading.active_count(), children, Path("/proc/self/mounts").read_text()


def _lives(process: psutil.Process) -> bool:
    try:
        return str(process.status()) != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended while we looked
        return False


def settled(expected: tuple[int, int, set[int], str], seconds: float = 5) -> tuple[int, int, set[int], str]:
    limit = time.monotonic() + seconds
    while (now := standing()) != expected and time.monotonic() < limit:
        time.sleep(0.05)
    return now


@pytest.mark.parametrize("how", ENDS)
def test_nothing_is_left_of_a_group(executor: Executor, tmp_path: Path, how: str) -> None:
    before = standing()
    for number in range(2):
        lines: list[str] = []
        run = executor.start(group(executor, tmp_path / str(number), ENDS[how]), lambda host, line, seen=lines: seen.append(line))  # type: ignore[misc]
        if how.startswith("is "):
            limit = time.monotonic() + 20
            while len(lines) < 2 and time.monotonic() < limit:
                time.sleep(0.02)
            run.stop() if how == "is stopped" else run.kill()
        assert run.wait(20) is not None
    del run
    assert settled(before) == before
    assert executor.running == []
    assert list((tmp_path / "temporary").iterdir()) == [], "temporary folders stay"
    assert list(tmp_path.rglob("litter")) == [], "what hosts wrote into their temporary folders stays"


def test_who_listens_to_lines_may_fail(executor: Executor, tmp_path: Path) -> None:
    """A defect in a front must not stop a job, or fill a pipe until the job stands still."""

    def refuse(host: str, line: str) -> None:
        raise RuntimeError("a defect of the listener")

    script = "for number in range(5000): print('a line that is long enough to fill a pipe', number)"
    run = executor.start(group(executor, tmp_path / "job", script), refuse)
    ended = run.wait(20)
    assert ended is not None
    assert ended.succeeded
    assert len((tmp_path / "job/a.log").read_text().splitlines()) == 5000


def test_a_group_that_cannot_begin_leaves_nothing(executor: Executor, tmp_path: Path) -> None:
    before = standing()
    made = group(executor, tmp_path / "job", "import time; time.sleep(600)")
    (tmp_path / "file").touch()
    hosts = (made.hosts[0], replace(made.hosts[1], log=tmp_path / "file" / "b.log"))
    with pytest.raises(OSError, match="file"):
        executor.start(replace(made, hosts=hosts))
    assert settled(before) == before
    assert executor.running == []
    assert list((tmp_path / "temporary").iterdir()) == []
