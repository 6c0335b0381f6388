"""A step's process seen from outside: exit codes, what it leaves behind, and its end with its starter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.contracts import storage, versions
from jobs.contracts.versions import EXPECT
from tests import object_store

_PROGRAM = """
import os, sys, time
from jobs.contracts.entrypoint import run_step
from jobs.contracts.errors import InputError
from jobs.contracts.job import Product, StepResult

def work(context):
    {body}

sys.exit(run_step(work))
"""


_JOB = {"pipeline": "p", "run": "r", "step": "s", "kind": "etl", "fingerprint": "f"}


def _start(folder: Path, body: str, *, job: dict[str, object] | None = None, place: str = "", **options: object) -> subprocess.Popen[str]:
    job_file = f"{place or folder}/job.json"
    storage.write_bytes(job_file, json.dumps(job or _JOB).encode())
    argv = [sys.executable, "-c", _PROGRAM.format(body=body), "--job", job_file]
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("return StepResult(outputs={'a': Product(uri='u', fingerprint='f')})", 0, None),
        ("raise InputError('no such table', where='flights', hint='look')", 2, {"what": "no such table", "where": "flights", "hint": "look", "exit_code": 2}),
        ("open('/nowhere/at/all')", 2, {"what": "no such file", "where": "/nowhere/at/all", "exit_code": 2}),
        ("1 / 0", 1, {"what": "ZeroDivisionError: division by zero", "exit_code": 1}),
        ("raise KeyboardInterrupt", 130, None),
    ],
)
def test_an_ending_is_an_exit_code_and_a_sentence(tmp_path: Path, body: str, code: int, told: dict[str, object] | None) -> None:
    child = _start(tmp_path, body)
    child.communicate(timeout=60)
    assert child.returncode == code
    assert (tmp_path / "outputs.json").exists() == (code == 0)
    error = json.loads((tmp_path / "error.json").read_text()) if told else None
    assert error is None or (told is not None and told.items() <= error.items())
    assert (tmp_path / "error.json").exists() == (told is not None)


def test_a_step_ends_with_its_starter(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    child = _start(tmp_path, "context.report('up'); time.sleep(60)", pass_fds=(read_end,), env={**os.environ, "SEATRIAL_LIFELINE_FD": str(read_end)})
    os.close(read_end)
    deadline = time.monotonic() + 30
    while not (tmp_path / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert child.poll() is None
    os.close(write_end)  # what the system does when the starter is killed
    child.communicate(timeout=10)
    assert child.returncode == 130
    assert not (tmp_path / "outputs.json").exists()


def test_other_versions_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    job = {"a field of another version": 1}
    child = _start(tmp_path, "context.report('up')", job=job, env={**os.environ, EXPECT: json.dumps({"seatrial": "0.0.1", "python": "3.1.0"})})
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 2
    error = json.loads((tmp_path / "error.json").read_text())
    (difference,) = versions.differences({"seatrial": "0.0.1"}, versions.installed())
    assert (error["what"], error["hint"], error["exit_code"]) == (difference.what, difference.hint, 2)
    assert "the client has python 3.1.0" in errors
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_job_file_of_another_shape_is_recorded(tmp_path: Path) -> None:
    child = _start(tmp_path, "pass", job={"surprise": 1})
    child.communicate(timeout=60)
    assert child.returncode == 1
    assert "surprise" in json.loads((tmp_path / "error.json").read_text())["what"]


def test_the_error_of_an_earlier_attempt_is_gone_once_the_next_one_works(tmp_path: Path) -> None:
    (tmp_path / "error.json").write_text("{}")
    body = "print(os.path.exists(context.folder / 'error.json'), file=sys.stderr); return StepResult()"
    _, errors = _start(tmp_path, body).communicate(timeout=60)
    assert "False" in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.json", "outputs.json"]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with object_store.bucket() as uri:
        yield uri


_WORK = "context.report('up'); context.checkpoints.mkdir(); (context.checkpoints / 'one').write_text(str(context.folder)); "


@pytest.mark.parametrize(
    ("body", "code", "last"), [("return StepResult()", 0, "outputs.json"), ("raise InputError('no')", 2, "error.json"), ("1 / 0", 1, "error.json")]
)
def test_a_step_folder_in_an_object_store(bucket: str, tmp_path: Path, body: str, code: int, last: str) -> None:
    step = f"{bucket}/steps/{code}"
    child = _start(tmp_path, _WORK + body, env={**os.environ, "SEATRIAL_STEP_DIR": step, "TMPDIR": str(tmp_path)})
    _, errors = child.communicate(timeout=60)
    assert child.returncode == code, errors
    assert object_store.names(step) == sorted(["checkpoints/one", "metrics.jsonl", last])
    assert json.loads(storage.read_bytes(f"{step}/metrics.jsonl"))["message"] == "up"
    assert storage.read_bytes(f"{step}/checkpoints/one").decode().startswith(str(tmp_path)), "it worked somewhere else than in a scratch folder"
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"], "the scratch folder stayed behind"


def test_a_job_file_in_an_object_store_names_the_step_folder(bucket: str, tmp_path: Path) -> None:
    child = _start(tmp_path, "return StepResult()", place=f"{bucket}/steps/found")
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 0, errors
    assert object_store.names(f"{bucket}/steps/found") == ["job.json", "outputs.json"]
