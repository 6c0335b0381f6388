"""What the tests of training share: a published dataset of parcels, and ways to run a train step on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs.contracts import bundle as bundles
from jobs.contracts import storage
from jobs.contracts.job import Context, Job

REPOSITORY = Path(__file__).parents[3]
TINY = REPOSITORY / "tests" / "workloads" / "tiny"
LIMIT = 300  # seconds until a step must have done what a test waits for


def job(**changes: Any) -> Job:
    given: dict[str, Any] = {"pipeline": "tiny", "run": "r1", "step": "fit", "kind": "train", "entry": "tiny.model:build", "fingerprint": "f1"}
    given |= {"params": {"seed": 3, "batch": 128}, "resources": {"workers": 0}, "inputs": ("dataset",), "outputs": ("bundle",)}
    return Job.model_validate(given | changes)


def context(folder: Path, dataset: Path, **changes: Any) -> Context:
    folder.mkdir(parents=True, exist_ok=True)
    return Context(job(**changes), folder, {"dataset": str(dataset)}, {"bundle": str(folder / "bundle")}, code=str(TINY))


@contextmanager
def started(context: Context, *, ray_address: str = "", **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """The step as a process of its own, as every target starts it; gone afterwards, with all its descendants."""
    storage.write_bytes(str(context.folder / "job.json"), context.job.model_dump_json().encode())
    variables = {"SEATRIAL_INPUT_DATASET": context.inputs["dataset"], "SEATRIAL_OUTPUT_BUNDLE": context.outputs["bundle"], "SEATRIAL_CODE": context.code}
    variables |= {"SEATRIAL_RAY_ADDRESS": ray_address, "PYTHONPATH": str(REPOSITORY), **environment}
    argv = [sys.executable, "-m", "jobs.steps.train", "--job", str(context.folder / "job.json")]
    with (context.folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(argv, env={**os.environ, **variables}, stdout=log, stderr=log)
    try:
        yield process
    finally:
        family = descendants(process.pid)
        process.kill()
        process.wait()
        for pid in family:
            kill(pid)


def run(context: Context, **options: str) -> int:
    """Run the step to its end; its exit code."""
    with started(context, **options) as process:
        return process.wait(timeout=LIMIT)


def wait_for(what: str, condition: Callable[[], Any], process: subprocess.Popen[bytes] | None = None) -> Any:
    """Wait until ``condition`` is true, and return it."""
    deadline = time.monotonic() + LIMIT
    while not (value := condition()):
        assert process is None or process.poll() is None, f"the step ended before {what}"
        assert time.monotonic() < deadline, f"no {what} within {LIMIT} s"
        time.sleep(0.02)
    return value


def epochs(context: Context) -> list[int]:
    """Epochs in the order in which they were reported."""
    return [line["epoch"] for line in metrics(context) if "epoch" in line]


def messages(context: Context) -> list[str]:
    return [line.get("message", "") for line in metrics(context)]


def metrics(context: Context) -> list[dict[str, Any]]:
    path = context.folder / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def error(context: Context) -> dict[str, str]:
    return json.loads((context.folder / "error.json").read_text())  # type: ignore[no-any-return]


def weights(context: Context) -> str:
    """SHA-256 of the exported graph with its weights."""
    return bundles.load(context.outputs["bundle"]).files[bundles.MODEL]


def descendants(pid: int) -> list[int]:
    """Processes below ``pid``, from /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue  # ended meanwhile
    found, frontier = [], {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier}
        found += frontier
    return found


def train_workers(pid: int) -> list[int]:
    """Ray Train's worker processes below ``pid``."""
    return [child for child in descendants(pid) if "RayTrainWorker" in _command(child)]


def kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
