"""Ways to run tune and cross-validation steps as every target starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs.contracts import storage
from jobs.contracts.job import Context
from tests.jobs.steps import training


def context(folder: Path, dataset: Path, kind: str, params: dict[str, Any], **changes: Any) -> Context:
    facts = {"kind": kind, "outputs": ("made",), "params": {"seed": 3, "batch": 128, **params}, "resources": {"workers": 2, "cpu": 1}}
    made = training.context(folder, dataset, **(facts | changes))
    made.outputs = {"made": str(folder / "made")}
    return made


@contextmanager
def started(context: Context, module: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """The step as a process; gone afterwards, with all its descendants."""
    storage.write_bytes(str(context.folder / "job.json"), context.job.model_dump_json().encode())
    variables = {"SEATRIAL_INPUT_DATASET": context.inputs["dataset"], "SEATRIAL_OUTPUT_MADE": context.outputs["made"], "SEATRIAL_CODE": context.code}
    argv = [sys.executable, "-m", f"jobs.steps.{module}", "--job", str(context.folder / "job.json")]
    with (context.folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(argv, env={**os.environ, **variables, "PYTHONPATH": str(training.REPOSITORY), **environment}, stdout=log, stderr=log)
    try:
        yield process
    finally:
        family = training.descendants(process.pid)
        process.kill()
        process.wait()
        for pid in family:
            training.kill(pid)


def run(context: Context, module: str, **environment: str) -> dict[str, Any]:
    """Run the step to its end; what it says in ``outputs.json``."""
    with started(context, module, **environment) as process:
        assert process.wait(timeout=training.LIMIT) == 0, (context.folder / "log.txt").read_text()[-3000:]
    return json.loads((context.folder / "outputs.json").read_text())  # type: ignore[no-any-return]
