"""What a step's process is told: ``job.json`` (what to do) and ``SEATRIAL_*`` variables (where, decided by the target).

SEATRIAL_INPUT_<NAME>, SEATRIAL_OUTPUT_<NAME>   URIs
SEATRIAL_EXPECT_VERSIONS   what the submitting side has installed; compared in the job's first second
SEATRIAL_STEP_DIR       folder for job.json, metrics.jsonl, outputs.json, checkpoints/: a path, or a URI in an object store
SEATRIAL_STEP_MOUNTED   set: that folder is an object store mounted as one, which takes whole files only; it is worked with like a URI
SEATRIAL_PRINT_METRICS  set: lines of metrics.jsonl go to standard output too, where a cloud's metric definitions look for them
SEATRIAL_CODE           folder with the workload's packages (also first on PYTHONPATH)
SEATRIAL_ENGINE         sail | spark
SEATRIAL_RAY_ADDRESS    a running Ray to join; unset = start one
SEATRIAL_TRACKING_URI   MLflow, for the driver and for serving
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from jobs.contracts import storage
from jobs.contracts.mirror import Mirror, scratch

METRICS, OUTPUTS, ERROR, CHECKPOINTS, PROFILE = "metrics.jsonl", "outputs.json", "error.json", "checkpoints", "profile.json.gz"
MIRRORED = (METRICS, PROFILE, CHECKPOINTS)  # of a step's folder in an object store, in this order: metrics before the checkpoints they lead to


class Job(BaseModel):
    """``job.json``: one step of one run, the same on every target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pipeline: str
    run: str
    step: str
    kind: str
    entry: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    resources: dict[str, Any] = Field(default_factory=dict, description="workers, cpu, memory, gpu: as in the job file")
    checkpoint: dict[str, Any] = Field(default_factory=dict)
    retries: int = 0
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    fingerprint: str
    input_fingerprints: dict[str, str] = Field(default_factory=dict)


class Product(BaseModel):
    """One output of a step, as recorded in ``outputs.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str
    fingerprint: str


class StepResult(BaseModel):
    """``outputs.json``, written last: a step without it did not finish."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outputs: dict[str, Product] = Field(default_factory=dict)
    summary: dict[str, Any] = Field(default_factory=dict, description="what the run's summary prints; JSON values")


@dataclass
class Context:
    """A step's job and its places. Make one with :meth:`opened` (from the environment) or directly in tests."""

    job: Job
    folder: Path
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    engine: str = "sail"
    ray_address: str = ""
    code: str = ""
    tracking_uri: str = ""
    mirror: Mirror | None = None  # of `folder`, where the step's folder lies in an object store
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    @contextmanager
    def opened(cls, job_file: str, env: Mapping[str, str] = os.environ) -> Iterator[Context]:
        """The context of this process. A step folder in an object store is worked on in a scratch folder that the store follows."""
        home = home_of(job_file, env)
        if storage.is_local(home) and not env.get("SEATRIAL_STEP_MOUNTED"):
            folder = storage.local_path(home)
            folder.mkdir(parents=True, exist_ok=True)  # a job file that was mounted from elsewhere leaves it to the step
            yield cls._load(job_file, folder, None, env)
        else:
            with scratch(home, MIRRORED) as mirror:
                yield cls._load(job_file, mirror.folder, mirror, env)

    @classmethod
    def _load(cls, job_file: str, folder: Path, mirror: Mirror | None, env: Mapping[str, str]) -> Context:
        job = Job.model_validate_json(storage.read_bytes(job_file))
        return cls(
            job=job,
            folder=folder,
            inputs={name: env[variable("INPUT", name)] for name in job.inputs},
            outputs={name: env[variable("OUTPUT", name)] for name in job.outputs},
            engine=env.get("SEATRIAL_ENGINE", "sail"),
            ray_address=env.get("SEATRIAL_RAY_ADDRESS", ""),
            code=env.get("SEATRIAL_CODE", ""),
            tracking_uri=env.get("SEATRIAL_TRACKING_URI", ""),
            mirror=mirror,
        )

    @property
    def checkpoints(self) -> Path:
        return self.folder / CHECKPOINTS

    def report(self, message: str = "", *, fraction: float | None = None, **metrics: float) -> None:
        """Append a line to ``metrics.jsonl``: progress text, share done (0 to 1), and metrics. Safe from threads.

        A metric ``epoch`` or ``step`` is the x-axis of the others.
        """
        line: dict[str, Any] = {"time": round(time.time(), 3)}
        if message:
            line["message"] = message
        if fraction is not None:
            line["fraction"] = round(fraction, 4)
        line.update(metrics)
        text = json.dumps(line)
        with self._lock, (self.folder / METRICS).open("a") as stream:
            stream.write(text + "\n")
        if os.environ.get("SEATRIAL_PRINT_METRICS"):
            sys.stdout.write(text + "\n")  # not print: Ray Train replaces it in its workers, and each line would come twice
            sys.stdout.flush()


def reported(text: str) -> Iterator[dict[str, Any]]:
    """Lines of a ``metrics.jsonl``. One that a kill or a full disk cut off, with what was then written behind it, is passed over."""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def home_of(job_file: str, env: Mapping[str, str] = os.environ) -> str:
    """Where a step's folder lies: a path, or a URI in an object store."""
    return env.get("SEATRIAL_STEP_DIR") or os.path.dirname(job_file) or "."


def variable(direction: str, name: str) -> str:
    """The environment variable that carries an input's or output's URI."""
    return f"SEATRIAL_{direction}_{name.upper().replace('-', '_')}"
