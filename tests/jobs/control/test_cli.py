"""The command line as a user's shell sees it: its own process, exit codes, standard output and error."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.control.cli import COMMANDS
from jobs.control.home import Home
from tests.factories import make_dataset


def seatrial(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "jobs.control.cli", *arguments]
    return subprocess.run(
        argv, cwd=cwd, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **(env or {})}, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_has_an_example_and_pulls_in_no_engine(tmp_path: Path, command: list[str]) -> None:
    answer = seatrial(*command, "--help", cwd=tmp_path, env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert answer.returncode == 0
    assert "Example" in answer.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in answer.stderr.splitlines()}
    assert not imported & {"ray", "torch", "pyspark", "pysail", "mlflow", "onnxruntime", "numpy", "pyarrow", "matplotlib"}
    assert not (tmp_path / ".seatrial").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere.yaml"], "no such file"),
        (["run", "flights/pipeline.yaml", "--on", "moon"], "known targets: local"),
        (["run", "flights/pipeline.yaml", "--set", "steps.train.kind=trane"], "pipeline.yaml:"),
        (["run", "flights/pipeline.yaml", "--set", "code=elsewhere"], "code folder does not exist"),
        (["run", "flights/pipeline.yaml", "--set", "steps.features.inputs.raw=tables"], "no such file or folder"),
        (["plan", "flights/pipeline.yaml", "--on", "moon"], "known targets: local"),
        (["data", "show", "flights"], "published here: none yet"),
        (["models", "show", "flights"], "registered: none yet"),
        (["models", "lineage", "flights"], "registered: none yet"),
        (["fly"], "No such command"),
    ],
)
def test_a_wrong_request_ends_with_exit_code_2_and_one_message(tmp_path: Path, flights_folder: Path, arguments: list[str], said: str) -> None:
    answer = seatrial(*arguments, cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_port_in_use_is_told_before_any_work(tmp_path: Path, flights_folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = seatrial("run", "flights/pipeline.yaml", "--set", f"targets.local.port={port}", cwd=tmp_path)
    assert answer.returncode == 2
    assert f"port {port} is in use" in answer.stderr
    assert not list((tmp_path / ".seatrial").glob("runs/*/features"))


def test_a_plan_is_the_same_bytes_twice_and_writes_nothing(tmp_path: Path, flights_folder: Path) -> None:
    first, second = (seatrial("plan", "flights/pipeline.yaml", "--output", "json", cwd=tmp_path) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    plans = json.loads(first.stdout)
    assert [plan["step"] for plan in plans] == ["features", "baseline", "train", "judge", "serve"]
    assert not (tmp_path / ".seatrial").exists()
    produced = plans[0]["outputs"]["dataset"]
    assert plans[2]["requests"][0]["body"]["env"]["SEATRIAL_INPUT_DATASET"] == produced


def test_datasets_are_listed_shown_and_verified(tmp_path: Path) -> None:
    folder = Home(tmp_path / ".seatrial").datasets / "parcels" / "f00d"
    make_dataset(folder, rows=400)
    listed = json.loads(seatrial("data", "list", "--output", "json", cwd=tmp_path).stdout)
    assert [each["name"] for each in listed] == ["parcels"]
    for command in (["list"], ["show", "parcels"], ["show", "f00"], ["show", str(folder)], ["verify", "parcels"]):
        answer = seatrial("data", *command, cwd=tmp_path)
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout
    path = next(folder.glob("train/*.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    broken = seatrial("data", "verify", "parcels", cwd=tmp_path)
    assert broken.returncode == 1
    assert path.name in broken.stderr


def test_a_service_that_is_not_up_is_no_error(tmp_path: Path) -> None:
    assert json.loads(seatrial("serve", "status", "--output", "json", cwd=tmp_path).stdout) == {"up": False}
    assert seatrial("serve", "down", cwd=tmp_path).returncode == 0
