"""Records of runs: ``runs/<run>/run.json`` is a pipeline's whole state, replaced atomically at every change."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.contracts import storage
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Product
from jobs.contracts.states import JobState
from jobs.control.home import Home

RECORD = "run.json"


class StepRecord(BaseModel):
    model_config = ConfigDict(extra="ignore")

    kind: str
    state: JobState = JobState.QUEUED
    fingerprint: str = ""
    handle: str = ""
    folder: str = Field(default="", description="URI of the step's folder in the target's store")
    attempt: int = Field(default=1, description="how often it was submitted; part of its name where a target takes a name once")
    outputs: dict[str, Product] = Field(default_factory=dict)
    summary: dict[str, Any] = Field(default_factory=dict)
    seconds: float = 0.0
    reused: str = Field(default="", description="run whose finished step stands in for this one")
    message: str = ""


class RunRecord(BaseModel):
    model_config = ConfigDict(extra="ignore")

    run: str
    pipeline: str
    file: str
    overrides: tuple[str, ...] = ()
    fingerprint: str = Field(description="of the validated job file and its code: the same work, whoever runs it")
    target: str = "local"
    alone: bool = Field(default=False, description="one step by itself (`seatrial submit`), which no pipeline goes on with")
    state: JobState = JobState.RUNNING
    created: float
    seconds: float = 0.0
    steps: dict[str, StepRecord]
    model_version: str = ""
    verdict: dict[str, Any] = Field(default_factory=dict)

    def save(self, home: Home) -> None:
        storage.write_bytes(str(home.runs / self.run / RECORD), self.model_dump_json(indent=1).encode())

    def fail(self, home: Home) -> None:
        self.state = JobState.FAILED
        self.save(home)


def new_id(pipeline: str, now: float | None = None) -> str:
    """``flights-20261122-214500-3fa1``: sorts by time; a valid DNS label."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    return f"{pipeline}-{stamp}-{secrets.token_hex(2)}"


def list_runs(home: Home) -> Iterator[RunRecord]:
    """Recorded runs, newest first; a record that cannot be read is passed over."""
    if not home.runs.is_dir():
        return
    found = []
    for path in home.runs.glob(f"*/{RECORD}"):
        try:
            found.append(RunRecord.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            continue
    yield from sorted(found, key=lambda record: record.created, reverse=True)


def try_find(home: Home, run: str) -> RunRecord | None:
    return next((each for each in list_runs(home) if each.run == run), None)


def find_run(home: Home, run: str) -> RunRecord:
    record = try_find(home, run)
    if record is None:
        raise RequestError(f"no run {run!r} here", where=str(home.runs), hint="`seatrial run FILE` makes one")
    return record


def newest_unfinished(home: Home, file: str = "") -> RunRecord:
    """The newest interrupted or failed run, of one job file or of any, that nobody is driving.

    Errors: RequestError when there is none.
    """
    for record in list_runs(home):
        if record.state != JobState.SUCCEEDED and not record.alone and file in ("", record.file) and not is_driven(home, record.run):
            return record
    raise RequestError("no run waits to be continued", where=file or str(home.runs), hint="`seatrial run FILE` starts one")


def unfinished(home: Home, fingerprint: str, target: str = "local") -> RunRecord | None:
    """The newest run of the same work on a target that was interrupted or failed, and that nobody is working on."""
    for record in list_runs(home):
        if (record.fingerprint, record.target) == (fingerprint, target):
            if record.state == JobState.SUCCEEDED or is_driven(home, record.run):
                return None
            return record
    return None


Exists = Callable[[str], bool]


def finished_step(home: Home, fingerprint: str, target: str = "local", exists: Exists = storage.exists) -> tuple[str, StepRecord] | None:
    """A finished step with this fingerprint whose products are still in the target's store: (its run, its record)."""
    for record in list_runs(home):
        for step in record.steps.values():
            same = (step.fingerprint, record.target) == (fingerprint, target)
            if same and step.state == JobState.SUCCEEDED and not step.reused and is_complete(step, exists):
                return record.run, step
    return None


def is_complete(step: StepRecord, exists: Exists = storage.exists) -> bool:
    """Whether a step has products and they are still there."""
    return bool(step.outputs) and all(exists(product.uri) for product in step.outputs.values())


def forget(outputs: Mapping[str, str]) -> None:
    """Remove products of an earlier try that lie on this machine; others are overwritten."""
    for uri in outputs.values():
        if storage.is_local(uri):
            shutil.rmtree(storage.local_path(uri), ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run for this process; the system lets go when the process ends, however it ends.

    Errors: RequestError when another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RequestError("another process is working on this run", where=str(folder), hint="wait for it, or stop it") from None
    try:
        yield
    finally:
        os.close(descriptor)


def is_driven(home: Home, run: str) -> bool:
    """Whether a process is driving this run."""
    try:
        with locked(home.runs / run):
            return False
    except RequestError:
        return True
