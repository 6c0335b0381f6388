"""The list of submitted jobs, written by many real processes at once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.contracts.errors import IntegrityError, RequestError, SeatrialError
from jobs.contracts.states import JobState
from jobs.control import handles
from jobs.control.handles import Handles
from jobs.control.home import Home
from jobs.control.plan import Plan

ROOT = Path(__file__).parents[3]
WRITER = """
import os, sys
from pathlib import Path
from jobs.control.handles import Handles
from jobs.control.home import Home
from jobs.control.plan import Plan

store = Handles(Home(Path(sys.argv[1])))

def write(name, count):
    for number in range(count):
        handle = f"local://{name}/{number}"
        store.record(Plan("local", name, str(number), handle, "/f", (), {}), "p", "train")
        os.write(1, f"{handle}\\n".encode())

if sys.argv[2] == "alone":
    write(sys.argv[3], 100_000)
children = []
for number in range(20):
    children.append(os.fork())
    if not children[-1]:
        write(f"w{number}", 5)
        os._exit(0)
print(*(os.waitpid(child, 0)[1] for child in children), file=sys.stderr)
"""


@pytest.fixture
def store(tmp_path: Path) -> Handles:
    return Handles(Home(tmp_path))


def _plan(run: str = "r1", step: str = "one", **outputs: str) -> Plan:
    return Plan(target="local", run=run, step=step, handle=f"local://{run}/{step}", folder=f"/runs/{run}/{step}", requests=(), outputs=outputs)


def _writer(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home), *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_a_job_is_found_as_it_was_recorded(store: Handles) -> None:
    assert store.all() == []
    assert store.find("local://r1/one") is None
    before = time.time()
    store.record(_plan(bundle="/b"), "flights", "train", alone=True)
    found = store.find("local://r1/one")
    assert found is not None
    assert (found.target, found.pipeline, found.run, found.step, found.kind, found.folder) == ("local", "flights", "r1", "one", "train", "/runs/r1/one")
    assert (found.outputs, found.alone, found.state) == ({"bundle": "/b"}, True, JobState.QUEUED)
    assert before <= found.submitted == found.updated <= time.time()


def test_a_state_is_what_was_seen_last_and_strangers_are_passed_over(store: Handles) -> None:
    store.update("local://r1/one", JobState.RUNNING)  # nothing was ever recorded: makes no file either
    store.record(_plan(), "p", "train")
    store.update("local://r1/one", JobState.RUNNING)
    store.update("local://r1/stranger", JobState.FAILED)
    assert [(job.handle, job.state) for job in store.all()] == [("local://r1/one", JobState.RUNNING)]


def test_recording_again_keeps_the_first_time_and_starts_over(store: Handles) -> None:
    store.record(_plan(), "p", "train")
    store.update("local://r1/one", JobState.FAILED)
    first = store.all()[0]
    store.record(_plan(bundle="/b"), "p", "train")
    (again,) = store.all()
    assert (again.submitted, again.state) == (first.submitted, JobState.QUEUED)
    assert again.outputs == {"bundle": "/b"}


def test_the_newest_comes_first_and_a_run_is_in_order(store: Handles) -> None:
    for step in ("one", "two"):
        store.record(_plan(step=step), "p", "train")
    store.record(_plan("r2"), "p", "train")
    assert [job.name for job in store.all()] == ["r2/one", "r1/two", "r1/one"]
    assert [job.step for job in store.of_run("r1")] == ["one", "two"]


def test_a_job_may_move_to_the_address_that_its_target_gave_it(store: Handles) -> None:
    store.record(_plan(), "p", "train")
    store.moved("local://r1/one", "local://real/one")
    assert [job.handle for job in store.all()] == ["local://real/one"]


def test_old_records_of_ended_jobs_are_dropped(store: Handles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "KEPT", 3)
    for number in range(6):
        store.record(_plan(f"r{number}"), "p", "train")
        if number:
            store.update(f"local://r{number}/one", JobState.SUCCEEDED)
    store.record(_plan("r6"), "p", "train")
    assert [job.run for job in store.all()] == ["r6", "r5", "r4", "r0"]  # the first one still runs


def test_twenty_processes_at_once_lose_no_record(store: Handles, tmp_path: Path) -> None:
    output, codes = _writer(tmp_path, "together").communicate(timeout=100)
    assert codes.split() == ["0"] * 20
    said = output.split()
    assert sorted(job.handle for job in store.all()) == sorted(said)
    assert len(said) == 100
    assert {path.name for path in tmp_path.iterdir()} <= {"state.db", "state.db-wal", "state.db-shm"}


def test_kill_9_while_writing_loses_nothing_that_was_acknowledged(store: Handles, tmp_path: Path) -> None:
    said: list[str] = []
    for number in range(3):
        writer = _writer(tmp_path, "alone", f"w{number}")
        assert writer.stdout is not None
        said += [writer.stdout.readline().strip() for _ in range(5 + 10 * number)]
        os.kill(writer.pid, signal.SIGKILL)
        said += writer.communicate(timeout=20)[0].split("\n")[:-1]  # without the line that the kill may have cut
        known = {job.handle for job in store.all()}
        assert not {handle for handle in said if handle} - known
    store.record(_plan(), "p", "train")  # and the file is whole


@pytest.mark.parametrize("damage", ["text", "cut", "empty", "no table"])
def test_a_damaged_file_is_told_with_what_to_do(store: Handles, tmp_path: Path, damage: str) -> None:
    for number in range(50):
        store.record(_plan(f"r{number}"), "p", "train")
    path = tmp_path / "state.db"
    if damage == "no table":
        with sqlite3.connect(path) as database:
            database.execute("DROP TABLE jobs")
        database.close()
    else:
        path.write_bytes({"text": b"nothing like it" * 500, "cut": path.read_bytes()[:5000], "empty": b""}[damage])
    for call in (store.all, lambda: store.record(_plan(), "p", "train"), lambda: store.update("local://r1/one", JobState.FAILED)):
        with pytest.raises(IntegrityError, match="damaged") as caught:
            call()
        assert str(path) in caught.value.where
        assert f"mv {path}" in caught.value.hint


def test_a_newer_file_and_a_folder_that_is_none_are_refused(store: Handles, tmp_path: Path) -> None:
    store.record(_plan(), "p", "train")
    with sqlite3.connect(tmp_path / "state.db") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(RequestError, match="newer Seatrial"):
        store.all()
    (tmp_path / "file").write_text("")
    with pytest.raises(SeatrialError, match="File exists"):
        Handles(Home(tmp_path / "file")).record(_plan(), "p", "train")


def test_a_full_disk_is_told_as_such_wherever_sqlite_met_it(tmp_path: Path) -> None:
    """With no room for the shared memory of its journal SQLite says "disk I/O error" only, so each size is tried."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)], capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root: run the tests as root, or in a container with SYS_ADMIN")
    try:
        for left in range(0, 256 << 10, 8192):
            subprocess.run(["find", str(small), "-mindepth", "1", "-delete"], check=True)
            (small / "filler").write_bytes(bytes((256 << 10) - left))
            try:
                Handles(Home(small)).record(_plan(), "p", "train")
            except SeatrialError as error:
                assert "the disk is full" in str(error), f"{left} bytes left: {error}"  # noqa: PT017
            else:
                break
        assert left > 0
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)
