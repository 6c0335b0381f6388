"""Ray's files: gone with their owner, or with the next one where the owner was killed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.control import ray_folder as folders
from jobs.control.ray_folder import ray_folder, remove_left

OWNER = """
import sys, time
from pathlib import Path
from jobs.control import ray_folder as folders
folders.PLACE = Path(sys.argv[1])
with folders.ray_folder() as folder:
    Path(folder, "session").mkdir()
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folders, "PLACE", tmp_path)
    return tmp_path


@contextmanager
def owner(place: Path, repository: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process with a folder."""
    with subprocess.Popen([sys.executable, "-c", OWNER, str(place)], cwd=repository, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_a_folder_goes_with_its_owner_also_after_an_error(place: Path) -> None:
    def work() -> None:
        with ray_folder() as folder:
            (Path(folder) / "session").mkdir()
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        work()
    assert list(place.iterdir()) == []


def test_what_a_killed_owner_has_left_is_removed_by_the_next(place: Path, repository: Path) -> None:
    with owner(place, repository) as (process, left):
        remove_left()
        assert (left / "session").is_dir()  # its owner lives
        process.kill()
        process.wait()
        assert left.is_dir()
        with ray_folder() as folder:
            assert list(place.iterdir()) == [Path(folder)]


def test_a_folder_without_a_lock_is_nobody_elses(place: Path) -> None:
    (place / f"{folders.PREFIX}older").mkdir()
    remove_left()
    assert [each.name for each in place.iterdir()] == [f"{folders.PREFIX}older"]
