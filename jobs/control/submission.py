"""One step by itself on a target: plan, check, write down, stage, submit. Afterwards nothing needs this process.

The run id is minted once and ``run.json`` is written before anything is sent (state ``Queued``; ``Running`` once the target
has taken it). A submission that was cut off in between is taken up under the same id, so the target never gets it twice.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobs.contracts import fingerprint
from jobs.contracts.errors import RequestError, SeatrialError
from jobs.contracts.states import JobState
from jobs.control import consent, runs, spec_file
from jobs.control.backend import Backend, open_backend
from jobs.control.binding import Binding, expected_versions
from jobs.control.handles import Handles
from jobs.control.home import Home
from jobs.control.model_inputs import Models
from jobs.control.plan import Plan, Source
from jobs.control.preflight import refuse_if_unfit
from jobs.control.registry import registry_of
from jobs.control.runs import RunRecord, StepRecord
from jobs.control.spec import Kind, Pipeline, Step
from jobs.control.staging import source_of_code
from jobs.control.step_inputs import LOCAL, StepInputs


@dataclass(frozen=True)
class Ask:
    """What the user wants to submit."""

    file: Path
    target: str
    step: str = ""  # empty = the only one of the file
    inputs: Mapping[str, str] = field(default_factory=dict)  # name -> location, instead of what the job file says
    overrides: tuple[str, ...] = ()
    run: str = ""  # empty = a new one
    real: bool = False  # the caller knows that a cloud target may cost money


@dataclass(frozen=True)
class Submitted:
    plan: Plan
    handle: str
    kind: str
    sent: bool  # False = this run had finished, and nothing was sent
    notes: tuple[str, ...]  # what a step by itself does without


def submit(ask: Ask, home: Home) -> Submitted:
    """Submit one step and return once the target has taken it.

    Errors: SpecError, RequestError for what cannot be submitted by itself or what the target's check refuses.
    """
    pipeline = spec_file.load(ask.file, ask.overrides)
    name = _chosen(pipeline, ask)
    backend = open_backend(ask.target, home, pipeline.targets)
    consent.require(backend, real=ask.real)
    home.create()
    code = source_of_code(*home.keep_code((ask.file.parent / pipeline.code).resolve()))
    binding = Binding(pipeline, ask.file.parent, "", code, Models(home, registry_of(backend)))
    inputs = StepInputs(binding, home, backend, ask.target, ask.file).of(name, ask.inputs)
    work = fingerprint.of({"alone": name, "job": binding.job(name, inputs).fingerprint})
    notes = tuple(_notes(home, backend, ask, pipeline.steps[name], work))
    with _opened_run(ask, home, pipeline, name, work) as record:
        sender = _Sender(replace(binding, run=record.run), home, backend, record, name)
        return sender.send(inputs, notes)


def _chosen(pipeline: Pipeline, ask: Ask) -> str:
    everything = f"`seatrial run {ask.file} --on {ask.target}` runs all steps (--detach: without this terminal)"
    if ask.step and ask.step not in pipeline.steps:
        raise RequestError(f"no step {ask.step!r}", where=str(ask.file), hint=f"its steps: {', '.join(pipeline.steps)}")
    if not ask.step and len(pipeline.steps) > 1:
        raise RequestError(
            f"this file has {len(pipeline.steps)} steps and one is submitted at a time",
            where=str(ask.file),
            hint=f"name one with --step ({', '.join(pipeline.steps)}); {everything}",
        )
    name = ask.step or next(iter(pipeline.steps))
    if pipeline.steps[name].kind == Kind.DEPLOY:
        raise RequestError("a deploy step needs the verdict and the registry of a whole run", where=f"{ask.file}: step {name}", hint=everything)
    return name


def _notes(home: Home, backend: Backend, ask: Ask, step: Step, work: str) -> Iterator[str]:
    if step.kind == Kind.EVALUATE:
        yield "the verdict is only a report: nothing is registered or promoted; `seatrial run` does that"
    if step.retries and not backend.retries:
        yield "retries: this target does not start a lost step again; submit it with --run and it goes on from its last checkpoint"
    for record in runs.list_runs(home):
        if not ask.run and (record.fingerprint, record.target, record.state) == (work, ask.target, JobState.RUNNING):
            yield f"the same work was submitted before and was not seen to end: {record.run}"
            return


@contextmanager
def _opened_run(ask: Ask, home: Home, pipeline: Pipeline, step: str, work: str) -> Iterator[RunRecord]:
    """The run, held against other processes: the named one, else one whose submission was cut off, else a new one."""
    if ask.run:
        with runs.locked(home.runs / _checked(ask.run)):
            yield _named(ask, home, pipeline, step, work)
        return
    with ExitStack() as held:
        if cut_off := _take_cut_off(held, home, ask.target, work):
            yield cut_off
            return
    folder = _mint(home, pipeline.name)
    try:
        with runs.locked(folder):
            yield _new_record(folder.name, ask, pipeline, step, work)
    finally:
        if not (folder / runs.RECORD).exists():  # refused before anything was written down
            shutil.rmtree(folder, ignore_errors=True)


def _take_cut_off(held: ExitStack, home: Home, target: str, work: str) -> RunRecord | None:
    for record in runs.list_runs(home):
        if _is_cut_off(record, target, work):
            try:
                held.enter_context(runs.locked(home.runs / record.run))
            except RequestError:  # it is being submitted right now
                continue
            current = runs.find_run(home, record.run)
            if _is_cut_off(current, target, work):  # otherwise another process was quicker
                return current
    return None


def _is_cut_off(record: RunRecord, target: str, work: str) -> bool:
    return (record.fingerprint, record.target, record.state) == (work, target, JobState.QUEUED)


def _mint(home: Home, pipeline: str) -> Path:
    """A folder for a new run; making it is what makes the id nobody else's."""
    while True:
        folder = home.runs / runs.new_id(pipeline)
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue


def _checked(run: str) -> str:
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,49}[a-z0-9])?", run):
        raise RequestError(f"{run!r} is no run id", hint="use lower-case letters, digits and hyphens, starting with a letter, at most 51 characters")
    return run


def _named(ask: Ask, home: Home, pipeline: Pipeline, step: str, work: str) -> RunRecord:
    record = next((each for each in runs.list_runs(home) if each.run == ask.run), None)
    if record is not None and (record.fingerprint, record.target) != (work, ask.target):
        raise RequestError("this run is other work, or was on another target", where=ask.run, hint="undo the change, or leave --run out for a new run")
    return record or _new_record(ask.run, ask, pipeline, step, work)


def _new_record(run: str, ask: Ask, pipeline: Pipeline, step: str, work: str) -> RunRecord:
    return RunRecord(
        run=run,
        pipeline=pipeline.name,
        file=str(ask.file.absolute()),
        overrides=ask.overrides,
        fingerprint=work,
        target=ask.target,
        alone=True,
        state=JobState.QUEUED,
        created=time.time(),
        steps={step: StepRecord(kind=pipeline.steps[step].kind)},
    )


@dataclass(frozen=True)
class _Sender:
    binding: Binding
    home: Home
    backend: Backend
    record: RunRecord
    name: str

    def send(self, inputs: Mapping[str, Source], notes: tuple[str, ...]) -> Submitted:
        step, record = self.binding.pipeline.steps[self.name], self.record.steps[self.name]
        state = self.backend.status(record.handle) if record.handle else JobState.UNKNOWN
        if state in (JobState.FAILED, JobState.STOPPED):
            self.record.steps[self.name] = record = StepRecord(kind=step.kind, attempt=record.attempt + 1)
        job = self.binding.job(self.name, inputs)
        context = {} if self.record.target == LOCAL else expected_versions()
        plan = self.backend.plan(step, job, inputs, self.binding.code, context, record.attempt)
        if state == JobState.SUCCEEDED:
            return Submitted(plan, record.handle, step.kind, False, notes)
        refuse_if_unfit(self.backend, plan)
        record.fingerprint = job.fingerprint
        return Submitted(plan, self._transfer(plan, record), step.kind, True, notes)

    def _transfer(self, plan: Plan, record: StepRecord) -> str:
        handles = Handles(self.home)
        record.handle, record.folder, self.record.state = plan.handle, plan.folder, JobState.QUEUED
        handles.record(plan, self.binding.pipeline.name, record.kind, alone=True)
        self.record.save(self.home)
        try:
            self.backend.stage(plan)
            record.handle = self.backend.submit(plan)
        except SeatrialError:
            handles.update(plan.handle, JobState.UNKNOWN)  # whether it arrived, only the target knows; the same command finds out
            raise
        handles.moved(plan.handle, record.handle)
        record.state = self.record.state = JobState.RUNNING
        self.record.save(self.home)
        return record.handle
