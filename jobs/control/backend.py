"""The contract that every target keeps, and the table of targets."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jobs.contracts.errors import RequestError
from jobs.contracts.job import Job
from jobs.contracts.states import JobState
from jobs.control.home import Home
from jobs.control.plan import Plan, Source
from jobs.control.spec import Step, Targets

# Target -> "module:factory"; resolved on use, so that a target's engine is imported only where it is used.
BACKENDS = {
    "local": "jobs.control.local_backend:create",
    "ray": "jobs.control.ray_backend:create",
    "kubernetes": "cluster.kubernetes_backend:create",
    "sagemaker": "cloud.sagemaker:create",
    "azureml": "cloud.azureml:create",
}

# What a handle begins with -> its target.
SCHEMES = {
    "local://": "local",
    "ray+http://": "ray",
    "ray+https://": "ray",
    "kubernetes://": "kubernetes",
    "sagemaker://": "sagemaker",
    "azureml://": "azureml",
}

# Kind of job -> the module that runs it: `python -m <module> --job <job.json>`, the same on every target.
MODULES = {
    "etl": "spark_etl.job",
    "train": "jobs.steps.train",
    "tune": "jobs.steps.tune",
    "cross-validate": "jobs.steps.crossval",
    "evaluate": "jobs.steps.evaluate",
    "predict": "jobs.steps.predict",
    "deploy": "serve.deploy",
    "pipeline": "jobs.control.drive",
}
DRIVER = "pipeline"


@dataclass(frozen=True)
class Cause:
    """Why something is not running, in plain words."""

    name: str  # a short name from the doctor's table, e.g. "image-pull"
    what: str
    hint: str
    evidence: str = ""  # the target's own words


class Backend(Protocol):
    """``plan`` is pure; ``stage`` and ``submit`` are the only writes; the rest work from any process with a handle alone."""

    poll: float  # seconds between two looks that the target bears well
    retries: bool  # whether the target itself starts a lost job again

    def plan(self, step: Step, job: Job, inputs: Mapping[str, Source], code: Source, context: Mapping[str, str], attempt: int = 1) -> Plan:
        """The requests for one step. ``context``: further SEATRIAL_* variables that the driver decided.

        ``attempt`` counts from 1; a target that cannot run the same name twice makes another one for a later attempt.
        Errors: RequestError for what the target can neither express nor do without.
        """
        ...

    def check(self, plan: Plan) -> list[Cause]:
        """What the target says before anything is sent: reachable, credentials, version skew, dry run. Empty = all well."""
        ...

    def stage(self, plan: Plan) -> None:
        """Bring the plan's uploads to the store, each once."""
        ...

    def submit(self, plan: Plan) -> str:
        """Send the plan's requests unchanged, in order, each only if it is not there yet. Returns the handle."""
        ...

    def status(self, handle: str) -> JobState: ...

    def stop(self, handle: str) -> None:
        """Idempotent: harmless when nothing runs."""
        ...

    def logs(self, handle: str, *, follow: bool = False) -> Iterator[str]:
        """Lines, oldest first; ``follow`` goes on until the job has ended."""
        ...

    def handles(self) -> Iterator[str]:
        """Handles of all jobs of Seatrial's that the target knows."""
        ...

    def explain(self, handle: str) -> list[Cause]: ...

    def read(self, uri: str) -> bytes:
        """A small file of the target's store.

        Errors: InputError when it is not there.
        """
        ...

    def exists(self, uri: str) -> bool:
        """Whether a file or folder of the target's store is there."""
        ...

    def fetch(self, uri: str) -> str:
        """A location with the same content that this process can read: the same one, or a local copy."""
        ...


@runtime_checkable
class Concludes(Protocol):
    """A target with work that only the client can do, once a job of it has succeeded and before its results are read."""

    def conclude(self, plan: Plan) -> None:
        """Harmless when repeated."""
        ...


@runtime_checkable
class Cloud(Protocol):
    """A target that may cost money in somebody's account."""

    def real_place(self) -> str:
        """Whose account, and where, in words; empty for a practice service on this machine."""
        ...


def open_backend(target: str, home: Home, targets: Targets | None = None) -> Backend:
    """The backend of a target, with the job file's settings of it.

    Errors: RequestError that lists the known targets.
    """
    if target not in BACKENDS:
        raise RequestError(f"unknown target {target!r}", hint=f"known targets: {', '.join(BACKENDS)}")
    module, _, factory = BACKENDS[target].partition(":")
    return getattr(importlib.import_module(module), factory)(home, targets or Targets())  # type: ignore[no-any-return]


def backend_of(handle: str, home: Home) -> Backend:
    """The backend that a handle belongs to.

    Errors: RequestError that lists the forms of handles.
    """
    target = next((target for scheme, target in SCHEMES.items() if handle.startswith(scheme)), None)
    if target is None:
        raise RequestError(f"not a handle: {handle!r}", hint=f"handles begin with {', '.join(SCHEMES)}; `seatrial jobs` lists them")
    return open_backend(target, home)
