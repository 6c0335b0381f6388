"""Looks at submitted jobs from any process, and writes down what it sees: the state, and what a step by itself has made."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from jobs.contracts import storage
from jobs.contracts.errors import RequestError, SeatrialError
from jobs.contracts.job import ERROR, OUTPUTS, Product, StepResult
from jobs.contracts.states import JobState
from jobs.control import runs
from jobs.control.backend import Backend, backend_of
from jobs.control.failures import explain
from jobs.control.handles import Handles, JobRecord
from jobs.control.home import Home

LOG = "log.txt"
ANSWER_LIMIT = 10.0  # seconds that each target has to tell all its states
_PATIENCE = 120.0  # seconds that a target may be out of reach while somebody waits for a job
_FRESH = 5.0  # seconds for which the same state need not be written down again: each writing waits for the disk
_LOST = 5  # looks in a row at a job that the target does not know


@dataclass(frozen=True)
class Look:
    record: JobRecord
    reached: bool = True  # False = the state is the last known one
    why: str = ""


def look(home: Home, handle: str, backend: Backend | None = None) -> JobState:
    """Ask a job's target for its state and write it down."""
    backend = backend or backend_of(handle, home)
    state = backend.status(handle)
    handles = Handles(home)
    record = handles.find(handle)
    if record and (record.state != state or time.time() - record.updated > _FRESH):
        handles.update(handle, state)
    if record and record.alone and state.is_final:
        _settle(home, record, backend, state)
    return state


def refresh(home: Home, records: Iterable[JobRecord], limit: float = ANSWER_LIMIT, only: Callable[[JobRecord], bool] | None = None) -> list[Look]:
    """Ask the targets of unfinished jobs, all at once and each for at most ``limit`` seconds; the others keep what is recorded."""
    records = list(records)
    asked = [record for record in records if not record.state.is_final and (only is None or only(record))]
    places: dict[str, list[JobRecord]] = {}
    for record in asked:
        places.setdefault(_place(record.handle), []).append(record)
    late = f"no answer within {limit:.0f} s"
    seen = {record.handle: Look(record, False, late) for record in asked}
    # Daemons: one that hangs in a target's client must not hold up the end of this process.
    threads = [threading.Thread(target=_ask, args=(home, each, seen), daemon=True, name=place) for place, each in places.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + limit
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [seen.get(record.handle, Look(record)) for record in records]


def _place(handle: str) -> str:
    """What answers for a handle: its scheme and address."""
    scheme, _, rest = handle.partition("://")
    return scheme if scheme == "local" else f"{scheme}://{rest.partition('/')[0]}"


def _ask(home: Home, records: list[JobRecord], seen: dict[str, Look]) -> None:
    for record in records:
        try:
            state = look(home, record.handle)
            seen[record.handle] = Look(replace(record, state=state, updated=time.time()))
        except SeatrialError as error:
            seen[record.handle] = Look(record, False, str(error).partition("\n")[0])


def wait(home: Home, handle: str, timeout: float | None = None, changed: Callable[[JobState], None] = lambda state: None) -> JobState:
    """Wait until a job has ended, or until its target has forgotten it (Unknown), or ``timeout`` seconds.

    Returns the last state. ``changed`` is told of each new one.
    Errors: what the target answered, once it has been out of reach for two minutes.
    """
    backend = backend_of(handle, home)
    started = reached = time.monotonic()
    state, lost = None, 0
    while True:
        try:
            now = look(home, handle, backend)
            reached = time.monotonic()
        except RequestError:
            raise
        except SeatrialError:
            if time.monotonic() - reached > _PATIENCE:
                raise
        else:
            lost = lost + 1 if now == JobState.UNKNOWN else 0
            if now != state:
                state = now
                changed(state)
        if state is not None and (state.is_final or lost >= _LOST):
            return state
        if timeout is not None and time.monotonic() - started >= timeout:
            return state or JobState.UNKNOWN
        time.sleep(backend.poll)


def why_failed(home: Home, handle: str) -> SeatrialError:
    """What a failed step said of itself, else what its target says of it."""
    backend, record = backend_of(handle, home), Handles(home).find(handle)
    told = _told(record, backend) if record else None
    log = str(home.runs / record.run / record.step / LOG) if record else f"what `seatrial logs {handle}` prints"
    return explain(record.step if record else handle, told, backend.explain(handle), log)


def stop(home: Home, handle: str) -> JobState:
    """Stop a job; harmless when it has ended, but for an endpoint: one that is up is deleted. Returns its state afterwards."""
    backend = backend_of(handle, home)
    backend.stop(handle)
    return look(home, handle, backend)


def _settle(home: Home, record: JobRecord, backend: Backend, state: JobState) -> None:
    """Into ``run.json``: how a step by itself has ended and what it made, so that later steps and runs find it."""
    try:
        with runs.locked(home.runs / record.run):
            run = runs.find_run(home, record.run)
            step = run.steps.get(record.step)
            if step is None or step.handle != record.handle or step.state.is_final:
                return
            if state == JobState.SUCCEEDED:
                result = StepResult.model_validate_json(backend.read(storage.join(record.folder, OUTPUTS)))
                # The target's own paths mean nothing here; the plan's locations do.
                step.outputs = {key: Product(uri=record.outputs.get(key, made.uri), fingerprint=made.fingerprint) for key, made in result.outputs.items()}
                step.summary, step.message = result.summary, str(result.summary.get("headline", ""))
            if state == JobState.FAILED:
                step.message = str((_told(record, backend) or {}).get("what", ""))
            step.state = run.state = state
            _keep_log(home, record, backend)
            run.save(home)
    except RequestError:  # another process is at it, or the run's folder was removed
        return


def _told(record: JobRecord, backend: Backend) -> dict[str, object] | None:
    try:
        return dict(json.loads(backend.read(storage.join(record.folder, ERROR))))
    except (SeatrialError, ValueError):
        return None


def _keep_log(home: Home, record: JobRecord, backend: Backend) -> None:
    """A target's log outlives the target here. On this machine it is here already."""
    if record.target == "local":
        return
    try:
        text = "".join(backend.logs(record.handle))
    except SeatrialError:
        return
    storage.write_bytes(str(home.runs / record.run / record.step / LOG), text.encode())
