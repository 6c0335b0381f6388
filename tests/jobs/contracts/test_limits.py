"""A step that takes too long or too much ends itself and says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.contracts.job import Job
from jobs.contracts.limits import memory_used

ROOT = Path(__file__).parents[3]
GREEDY = "held = bytearray(300 << 20); time.sleep(60)"


def _run(folder: Path, work: str, **limits: str) -> tuple[int, dict[str, str]]:
    job = folder / "job.json"
    job.write_text(Job(pipeline="p", run="r", step="s", kind="evaluate", fingerprint="f").model_dump_json())
    program = f"import sys, time\nfrom jobs.contracts.entrypoint import run_step\ndef work(context):\n    {work}\nsys.exit(run_step(work))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **limits}
    answer = subprocess.run([sys.executable, "-c", program, "--job", str(job)], env=environment, capture_output=True, timeout=50, check=False)
    return answer.returncode, json.loads((folder / "error.json").read_text())


@pytest.mark.parametrize(
    ("work", "limits", "said"),
    [
        ("time.sleep(60)", {"SEATRIAL_TIME_LIMIT": "1"}, "time limit of 1 s"),
        (GREEDY, {"SEATRIAL_MEMORY_LIMIT": str(250 << 20)}, "may use 0.2 GiB"),
        (f"import subprocess; subprocess.run([sys.executable, '-c', 'import time; {GREEDY}'])", {"SEATRIAL_MEMORY_LIMIT": str(250 << 20)}, "may use 0.2 GiB"),
    ],
)
def test_a_broken_limit_is_a_failure_with_its_reason(tmp_path: Path, work: str, limits: dict[str, str], said: str) -> None:
    code, error = _run(tmp_path, work, **limits)
    assert code == 1
    assert said in error["what"]
    assert "raise" in error["hint"]


def test_what_a_family_uses_is_measured() -> None:
    held = bytearray(50 << 20)
    assert memory_used() > len(held)
    assert memory_used(2**22) == 0  # nobody has this pid
