"""The doctor: what this machine lacks, or why a job or a run is not running."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jobs.contracts.errors import RequestError, SeatrialError, SetupError
from jobs.contracts.states import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.control.backend import Cause
    from jobs.control.home import Home
    from jobs.control.machine import Check

# What a job without a fault is doing, and what to do about it.
_WAITING = {
    JobState.QUEUED: ("accepted; it waits for room on the target", "it starts by itself; seatrial status HANDLE --wait returns when it has ended"),
    JobState.STARTING: ("room is found; images and processes come up", "the first pull of an image may take minutes; ask again"),
    JobState.RUNNING: ("it runs", "seatrial logs HANDLE --follow"),
    JobState.STOPPING: ("it is being stopped", "nothing to do"),
    JobState.SUCCEEDED: ("it succeeded", "nothing to do"),
    JobState.STOPPED: ("it was stopped on request", "submit it again, or go on with the run: seatrial run --resume RUN"),
    JobState.FAILED: ("it failed, and the target does not say why", "read its log: seatrial logs HANDLE"),
    JobState.UNKNOWN: ("the target no longer knows it", "what is left lies in the run's folder: seatrial logs HANDLE; else submit it again"),
}


@dataclass(frozen=True)
class Diagnosis:
    """One job: its state, the causes of its trouble, and without trouble what it is waiting for."""

    handle: str
    state: JobState
    causes: tuple[Cause, ...] = ()
    step: str = ""  # of a run
    waiting: str = ""
    hint: str = ""

    @property
    def well(self) -> bool:
        return not self.causes and self.state not in (JobState.FAILED, JobState.UNKNOWN)


def check_machine(home: Home) -> list[Check]:
    from jobs.control import home_checks, machine

    record = home_checks.service_record(home)
    served = str(record["url"]) if record else ""
    machines = [machine.python(), *machine.extras(), machine.java(), machine.memory(), *machine.shared_memory()]
    places = [home_checks.disk(home), *home_checks.databases(home), home_checks.service(home), *home_checks.leftovers(home)]
    return [*machines, *places, *(machine.port(each, served) for each in (machine.SERVICE, machine.RAY_DASHBOARD)), machine.tools(), machine.variables()]


def examine(home: Home, name: str) -> list[Diagnosis]:
    """A job by its handle, or the unfinished steps of a run by its id; an empty list when all steps succeeded.

    Errors: RequestError for what is neither.
    """
    return [_job(home, name)] if "://" in name else list(_run(home, name))


def _job(home: Home, handle: str) -> Diagnosis:
    from jobs.control.backend import backend_of

    backend = backend_of(handle, home)
    try:
        state = backend.status(handle)
        causes = tuple(backend.explain(handle))
    except SeatrialError as error:
        if isinstance(error, RequestError) and not isinstance(error, SetupError):
            raise  # the handle itself is wrong
        return Diagnosis(handle, JobState.UNKNOWN, (_unreachable(error),))
    if state == JobState.SUCCEEDED:
        causes = ()  # what went wrong on the way was overcome
    waiting, hint = _WAITING[state]
    return Diagnosis(handle, state, causes, waiting=waiting, hint=hint.replace("HANDLE", handle))


def _unreachable(error: SeatrialError) -> Cause:
    from jobs.control.backend import Cause
    from jobs.control.causes import match

    known = next(iter(match([error.what])), None)
    name = known.name if known else "unreachable"
    return Cause(name, error.what, error.hint or (known.hint if known else "is the target up, and can this machine reach it?"), evidence=error.where)


def _run(home: Home, run: str) -> Iterator[Diagnosis]:
    from jobs.control import runs

    try:
        record = runs.find_run(home, run)
    except RequestError as error:
        hint = "give a run id (a folder of runs/) or a handle; seatrial jobs lists both"
        raise RequestError(error.what, where=error.where, hint=hint) from error
    for name, step in record.steps.items():
        if step.state == JobState.SUCCEEDED:
            continue
        if step.handle:
            found = _job(home, step.handle)
            yield replace(found, step=name, waiting=found.waiting if found.well or not step.message else step.message)
        else:
            yield Diagnosis("", step.state, step=name, waiting="not begun: an earlier step has not finished", hint=f"seatrial run --resume {run}")
