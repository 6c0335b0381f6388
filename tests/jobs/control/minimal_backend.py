"""A target of the fewest lines: one shell per job. It proves that one module and one table row make a backend (docs/adding-a-target.md)."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from jobs.contracts import storage
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Job
from jobs.contracts.states import JobState
from jobs.control.backend import Cause
from jobs.control.home import Home
from jobs.control.plan import Plan, Request, Source
from jobs.control.spec import Step, Targets

SCHEME = "minimal://"
_JOBS: dict[str, tuple[subprocess.Popen[str], Path]] = {}  # stands for what a real target remembers
_STOPPED: set[str] = set()


def create(home: Home, targets: Targets) -> MinimalBackend:
    return MinimalBackend(home)


class MinimalBackend:
    poll = 0.05
    retries = False

    def __init__(self, home: Home) -> None:
        self._home = home

    def plan(self, step: Step, job: Job, inputs: Mapping[str, Source], code: Source, context: Mapping[str, str], attempt: int = 1) -> Plan:
        folder = self._home.runs / job.run / job.step
        facts = {"inputs": {name: asdict(source) for name, source in inputs.items()}, "context": dict(context), "step": step.model_dump(mode="json")}
        request = Request("shell", {"command": f"echo {job.step}", **facts})
        outputs = {name: str(folder / name) for name in step.outputs}
        return Plan("minimal", job.run, job.step, f"{SCHEME}{job.run}/{job.step}/{attempt}", str(folder), (request,), outputs)

    def check(self, plan: Plan) -> list[Cause]:
        return []

    def stage(self, plan: Plan) -> None:
        return

    def submit(self, plan: Plan) -> str:
        if plan.handle not in _JOBS:
            log = Path(plan.folder) / f"{plan.handle.rsplit('/', 1)[-1]}.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("w") as stream:
                _JOBS[plan.handle] = (subprocess.Popen(["sh", "-c", plan.requests[0].body["command"]], stdout=stream, stderr=stream, text=True), log)
        return plan.handle

    def status(self, handle: str) -> JobState:
        job = self._job(handle)
        if job is None:
            return JobState.UNKNOWN
        code = job[0].poll()
        if code is None:
            return JobState.RUNNING
        return JobState.STOPPED if handle in _STOPPED else JobState.FAILED if code else JobState.SUCCEEDED

    def stop(self, handle: str) -> None:
        job = self._job(handle)
        if job is not None and job[0].poll() is None:
            _STOPPED.add(handle)
            job[0].kill()
            job[0].wait()

    def logs(self, handle: str, *, follow: bool = False) -> Iterator[str]:
        while follow and self.status(handle) == JobState.RUNNING:
            time.sleep(self.poll)
        job = self._job(handle)
        if job is not None:
            yield from job[1].read_text().splitlines(keepends=True)

    def handles(self) -> Iterator[str]:
        yield from _JOBS

    def explain(self, handle: str) -> list[Cause]:
        return [Cause("failed", "the command failed", "read its log")] if self.status(handle) == JobState.FAILED else []

    def read(self, uri: str) -> bytes:
        return storage.read_bytes(uri)

    def exists(self, uri: str) -> bool:
        return storage.exists(uri)

    def fetch(self, uri: str) -> str:
        return uri

    def _job(self, handle: str) -> tuple[subprocess.Popen[str], Path] | None:
        if not handle.startswith(SCHEME) or handle.count("/") < 4:
            raise RequestError(f"not a handle of the minimal target: {handle!r}")
        return _JOBS.get(handle)
