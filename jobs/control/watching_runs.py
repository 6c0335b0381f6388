"""Looks at whole runs from any process: their steps on the target, and whether anybody drives them."""

from __future__ import annotations

import time

from jobs.contracts.states import JobState
from jobs.control import runs, watching
from jobs.control.backend import DRIVER
from jobs.control.handles import Handles
from jobs.control.home import Home
from jobs.control.runs import RunRecord

_TICK = 0.5  # seconds between looks at run.json
_UNDRIVEN = 20.0  # seconds without a driver until a run counts as interrupted; one that starts needs a few


def look(home: Home, run: str) -> RunRecord:
    """A run's record with the states of its steps as their target tells them now."""
    record = runs.find_run(home, run)
    states = {name: watching.look(home, step.handle) for name, step in record.steps.items() if step.handle and not step.state.is_final}
    record = runs.find_run(home, run)  # looking may have settled a step that was submitted by itself
    for name, state in states.items():
        if not record.steps[name].state.is_final:
            record.steps[name].state = state
    return record


def is_alone(home: Home, run: str) -> bool:
    """Whether a run is one step that was submitted by itself, which needs no driver."""
    return any(job.alone for job in Handles(home).of_run(run))


def wait(home: Home, run: str, timeout: float | None = None) -> RunRecord:
    """Wait until a run has ended or was interrupted, or ``timeout`` seconds."""
    started = driven = time.monotonic()
    alone = is_alone(home, run)
    while True:
        record = look(home, run) if alone else runs.find_run(home, run)
        if alone or runs.is_driven(home, run):
            driven = time.monotonic()
        late = timeout is not None and time.monotonic() - started >= timeout
        if record.state.is_final or late or time.monotonic() - driven > _UNDRIVEN:
            return record
        time.sleep(_TICK)


def stop(home: Home, run: str) -> RunRecord:
    """Stop whoever drives a run in the background, then its unfinished steps. Harmless when it has ended."""
    for driver in [job for job in Handles(home).of_run(run) if job.kind == DRIVER]:
        watching.stop(home, driver.handle)  # first: it would only submit the next step
    record = runs.find_run(home, run)
    for step in record.steps.values():
        if step.handle and not step.state.is_final:
            watching.stop(home, step.handle)
    record = look(home, run)
    if not record.state.is_final and not runs.is_driven(home, run):
        record.state = JobState.STOPPED  # nobody else is left to say so
        record.save(home)
    return record
