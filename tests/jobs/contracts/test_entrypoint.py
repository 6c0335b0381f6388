"""A step's process seen from outside: exit codes, what it leaves behind, and its end with its starter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

_PROGRAM = """
import sys, time
from jobs.contracts.entrypoint import run_step
from jobs.contracts.errors import InputError
from jobs.contracts.job import Product, StepResult

def work(context):
    {body}

sys.exit(run_step(work))
"""


def _start(folder: Path, body: str, **options: object) -> subprocess.Popen[str]:
    job = {"pipeline": "p", "run": "r", "step": "s", "kind": "etl", "fingerprint": "f"}
    (folder / "job.json").write_text(json.dumps(job))
    argv = [sys.executable, "-c", _PROGRAM.format(body=body), "--job", str(folder / "job.json")]
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("return StepResult(outputs={'a': Product(uri='u', fingerprint='f')})", 0, None),
        ("raise InputError('no such table', where='flights', hint='look')", 2, {"what": "no such table", "where": "flights", "hint": "look"}),
        ("open('/nowhere/at/all')", 2, {"what": "no such file", "where": "/nowhere/at/all"}),
        ("1 / 0", 1, {"what": "ZeroDivisionError: division by zero"}),
        ("raise KeyboardInterrupt", 130, None),
    ],
)
def test_an_ending_is_an_exit_code_and_a_sentence(tmp_path: Path, body: str, code: int, told: dict[str, str] | None) -> None:
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
