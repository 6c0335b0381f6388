"""Runs a job file: finds out whether it is a new run or an interrupted one, and drives it on its target."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobs.contracts import fingerprint
from jobs.contracts.errors import RequestError
from jobs.control import consent, runs, spec_file
from jobs.control.backend import Backend, open_backend
from jobs.control.binding import Binding
from jobs.control.driver import Driver
from jobs.control.home import Home
from jobs.control.local_backend import LocalBackend
from jobs.control.model_inputs import Models
from jobs.control.progress import Progress, Silent
from jobs.control.promotion import Promotion
from jobs.control.registry import registry_of
from jobs.control.runs import RunRecord, StepRecord
from jobs.control.spec import Pipeline
from jobs.control.staging import source_of_code
from jobs.control.surroundings import surroundings_of


@dataclass
class Options:
    target: str = "local"
    overrides: tuple[str, ...] = ()
    fresh: bool = False  # reuse nothing, resume nothing
    keep: bool = False  # leave the service up
    run_id: str = ""  # of a run that was named before it began; one that is there already goes on
    resume: str = ""  # the run to go on with; empty = the newest unfinished one of the same work, or a new one
    real: bool = False  # the caller knows that a cloud target may cost money
    progress: Progress = field(default_factory=Silent)


def begin(file: Path, home: Home, options: Options) -> RunRecord:
    """The record of the run that :func:`run` will drive: minted once and saved, so that every process means the same run.

    Errors: SpecError for a wrong job file, RequestError for an unknown target or run, or for a real account without ``options.real``.
    """
    pipeline = spec_file.load(file, options.overrides)
    consent.require(open_backend(options.target, home, pipeline.targets), real=options.real)
    home.create()
    _, code = home.keep_code((file.parent / pipeline.code).resolve())
    digest = fingerprint.of({"spec": pipeline.model_dump(mode="json", exclude={"targets"}), "code": code})
    if options.run_id:
        record = runs.try_find(home, options.run_id)
    elif options.resume:
        record = runs.find_run(home, options.resume)
        if record.fingerprint != digest:
            raise RequestError("the job file or its code has changed since", where=options.resume, hint="undo the change, or start a new run without --resume")
    else:
        record = None if options.fresh else runs.unfinished(home, digest, options.target)
    if record is not None:
        options.progress.note(f"continuing {record.run}, which did not finish")
        return record
    record = _new_record(pipeline, file, digest, options)
    record.save(home)
    return record


def run(file: Path, home: Home, options: Options) -> RunRecord:
    """Run a job file on its target and return its record.

    Errors: RequestError or RunError with the reason; KeyboardInterrupt after everything begun was stopped.
    """
    record = begin(file, home, options)
    pipeline = spec_file.load(file, options.overrides)
    code, digest = home.keep_code((file.parent / pipeline.code).resolve())
    backend = _attached(options.target, home, pipeline)
    with runs.locked(home.runs / record.run), _told_of_failure(record, home), Promotion(home, pipeline.name, registry_of(backend)) as promotion:
        binding = Binding(pipeline, file.parent, record.run, source_of_code(code, digest), Models(home, registry_of(backend)))
        around = surroundings_of(options.target, home, pipeline, keep=options.keep)
        return Driver(binding, home, record, backend, around, promotion, options.progress, fresh=options.fresh).drive()


def _attached(target: str, home: Home, pipeline: Pipeline) -> Backend:
    """Steps on this machine end with their driver; elsewhere they outlive it."""
    return LocalBackend(home, attached=True) if target == "local" else open_backend(target, home, pipeline.targets)


@contextmanager
def _told_of_failure(record: RunRecord, home: Home) -> Iterator[None]:
    """A run that fails before its first step is recorded as failed, not as running for ever."""
    try:
        yield
    except BaseException:
        if not record.state.is_final:
            record.fail(home)
        raise


def _new_record(pipeline: Pipeline, file: Path, digest: str, options: Options) -> RunRecord:
    now = time.time()
    steps = {name: StepRecord(kind=pipeline.steps[name].kind) for name in pipeline.order()}
    return RunRecord(
        run=options.run_id or runs.new_id(pipeline.name, now),
        pipeline=pipeline.name,
        file=str(file.absolute()),
        overrides=options.overrides,
        fingerprint=digest,
        target=options.target,
        created=now,
        steps=steps,
    )
