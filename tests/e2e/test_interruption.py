"""What ends a run before its time, and what the same command then does. On the tiny workload, with the real engines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Place, wait_until

FILE = "tiny/pipeline.yaml"


def _training_lines(place: Place) -> list[dict[str, float]]:
    paths = list(place.folder.glob(".seatrial/runs/*/fit/metrics.jsonl"))
    return [json.loads(line) for line in paths[0].read_text().splitlines() if line.endswith("}")] if paths else []


def _start_long_training(place: Place) -> tuple[subprocess.Popen[str], tuple[str, ...]]:
    """A run that is in the middle of its training, and the arguments it was started with."""
    arguments = ("run", FILE, "--set", f"targets.local.port={place.port}", "--set", "steps.fit.params.epochs_at_most=400")
    child = place.start(*arguments)
    wait_until(lambda: child.poll() is not None or sum("epoch" in line for line in _training_lines(place)) >= 3)
    assert child.poll() is None, child.communicate()
    return child, arguments


def _check_continued(place: Place, arguments: tuple[str, ...], run: str) -> None:
    """The same work goes on in the same run: features kept, training from its checkpoint, one version, nothing behind."""
    reached = max(line["epoch"] for line in _training_lines(place) if "epoch" in line)
    answer = place.run(*arguments)
    assert answer.returncode == 0, answer.stderr
    assert f"continuing {run}" in answer.stderr
    assert place.newest_run()["run"] == run
    epochs = [line["epoch"] for line in _training_lines(place) if "epoch" in line]
    assert epochs.count(1) == 1
    assert max(epochs) > reached
    assert [version["version"] for version in place.json("models", "list")] == ["1"]
    assert place.processes() == []


def test_ctrl_c_ends_with_130_and_the_same_command_goes_on(place: Place) -> None:
    child, arguments = _start_long_training(place)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    assert "Traceback" not in errors
    assert place.processes() == []
    record = place.newest_run()
    assert record["state"] == "Stopped"
    assert not list(place.folder.glob(".seatrial/runs/*/fit/**/bundle.json"))
    _check_continued(place, arguments, record["run"])


def test_a_killed_driver_leaves_no_process_and_the_same_command_goes_on(place: Place) -> None:
    child, arguments = _start_long_training(place)
    child.kill()
    child.communicate(timeout=10)
    wait_until(lambda: not place.processes(), seconds=30)
    _check_continued(place, arguments, place.newest_run()["run"])


def test_a_finished_run_is_reused_and_a_changed_parameter_runs_only_what_it_changes(place: Place) -> None:
    assert place.run_file(FILE).returncode == 0
    answer = place.run_file(FILE, "--set", "steps.fit.params.hidden=8")
    assert answer.returncode == 0, answer.stderr
    record = place.newest_run()
    assert {name for name, step in record["steps"].items() if step["reused"]} == {"prepare", "plain"}
    assert record["model_version"] == "2"
    assert {version["version"]: version["tags"]["seatrial.run"] for version in place.json("models", "list")}["2"] == record["run"]


@pytest.mark.parametrize(
    ("break_it", "code", "said"),
    [
        (lambda points: points.unlink(), 2, "points.csv"),
        (lambda points: points.write_text(points.read_text().replace("cluster", "group", 1)), 2, "cluster"),
        (lambda points: points.write_text(""), 2, "points.csv"),
    ],
)
def test_a_broken_table_is_a_wrong_request(place: Place, break_it: Callable[[Path], object], code: int, said: str) -> None:
    break_it(place.folder / "tiny" / "data" / "points.csv")
    answer = place.run_file(FILE)
    assert answer.returncode == code, answer.stderr
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not list(place.folder.glob(".seatrial/datasets/*/*/manifest.json"))
    assert place.processes() == []


def test_spark_without_java_is_a_wrong_request(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [folder for folder in os.environ["PATH"].split(os.pathsep) if not (Path(folder) / "java").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    answer = place.run_file(FILE, "--set", "steps.prepare.params.engine=spark")
    assert answer.returncode == 2, answer.stderr
    assert "openjdk-17" in answer.stderr


def test_a_tampered_dataset_is_refused_and_fresh_makes_it_again(place: Place) -> None:
    assert place.run_file(FILE).returncode == 0
    path = next(place.folder.glob(".seatrial/datasets/*/*/train/*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    answer = place.run_file(FILE, "--set", "steps.fit.params.hidden=8")
    assert answer.returncode == 1, answer.stderr
    assert path.name in answer.stderr
    assert "--fresh" in answer.stderr
    assert place.run_file(FILE, "--fresh").returncode == 0
    assert place.json("data", "verify", "tiny")["verified"]


def test_a_full_disk_is_one_message_and_keeps_what_was_good(place: Place, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root: run the tests as root, or in a container with SYS_ADMIN")
    try:
        (small / "filler").write_bytes(bytes(2_900_000))
        (tmp_path / ".seatrial").symlink_to(small)
        answer = place.run_file(FILE)
        assert answer.returncode == 1, answer.stderr
        assert "disk is full" in answer.stderr
        assert "Traceback" not in answer.stderr
        assert not list(small.glob("datasets/*/*/manifest.json"))
        (small / "filler").unlink()
        subprocess.run(["mount", "-o", "remount,size=100m", str(small)], check=True)
        again = place.run_file(FILE)
        assert again.returncode == 0, again.stderr
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)
