"""The contract that every target keeps, and the table of targets."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import Protocol

from jobs.contracts.errors import RequestError
from jobs.contracts.job import Job
from jobs.contracts.states import JobState
from jobs.control.home import Home
from jobs.control.plan import Plan
from jobs.control.spec import Step

# Target -> "module:factory"; resolved on use, so that a target's engine is imported only where it is used.
BACKENDS = {"local": "jobs.control.local_backend:create"}

# Kind of job -> the module that runs it: `python -m <module> --job <job.json>`, the same on every target.
MODULES = {
    "etl": "spark_etl.job",
    "train": "jobs.steps.train",
    "evaluate": "jobs.steps.evaluate",
    "deploy": "serve.deploy",
}


class Backend(Protocol):
    """``plan`` is pure; ``submit`` sends its requests unchanged and may be repeated; the rest work from any process."""

    def plan(self, step: Step, job: Job, inputs: Mapping[str, str], context: Mapping[str, str]) -> Plan:
        """``inputs``: name -> URI. ``context``: further SEATRIAL_* variables that the driver decided."""
        ...

    def submit(self, plan: Plan) -> str: ...

    def status(self, handle: str) -> JobState: ...

    def stop(self, handle: str) -> None: ...

    def logs(self, handle: str) -> Iterator[str]: ...


def open_backend(target: str, home: Home) -> Backend:
    """The backend of a target.

    Errors: RequestError that lists the known targets.
    """
    if target not in BACKENDS:
        raise RequestError(f"unknown target {target!r}", hint=f"known targets: {', '.join(BACKENDS)}")
    module, _, factory = BACKENDS[target].partition(":")
    return getattr(importlib.import_module(module), factory)(home)  # type: ignore[no-any-return]
