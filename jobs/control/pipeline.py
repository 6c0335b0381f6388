"""The pipeline driver: runs a job file's steps in order, reuses what is unchanged, resumes what was interrupted."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from jobs.contracts import fingerprint, storage
from jobs.contracts.errors import SeatrialError, StepFailed
from jobs.contracts.job import METRICS, OUTPUTS, Product, StepResult
from jobs.contracts.states import JobState
from jobs.control import runs, spec_file
from jobs.control.binding import Binding
from jobs.control.failures import explain
from jobs.control.home import Home
from jobs.control.local_backend import LocalBackend
from jobs.control.progress import Progress, Silent
from jobs.control.promotion import Promotion, TrainedStep
from jobs.control.runs import RunRecord, StepRecord
from jobs.control.services import Services
from jobs.control.spec import Kind, Pipeline, Step, seconds

_TICK = 0.05  # seconds between looks at the running steps


@dataclass
class Options:
    overrides: tuple[str, ...] = ()
    fresh: bool = False  # reuse nothing, resume nothing
    keep: bool = False  # leave the service up
    progress: Progress = field(default_factory=Silent)


def run(file: Path, home: Home, options: Options) -> RunRecord:
    """Run a job file on this machine and return its record.

    Errors: RequestError or RunError with the reason; KeyboardInterrupt after everything begun was stopped.
    """
    pipeline = spec_file.load(file, options.overrides)
    home.create()
    code, code_digest = home.keep_code((file.parent / pipeline.code).resolve())
    digest = fingerprint.of({"spec": pipeline.model_dump(mode="json", exclude={"targets"}), "code": code_digest})
    record = None if options.fresh else runs.unfinished(home, digest)
    if record is not None:
        options.progress.note(f"continuing {record.run}, which did not finish")
    record = record or _new_record(pipeline, file, digest)
    with runs.locked(home.runs / record.run), Promotion(home, pipeline.name) as promotion:
        binding = Binding(pipeline, file.parent, record.run, code, code_digest)
        return _Driver(binding, home, record, options, promotion).drive()


def _new_record(pipeline: Pipeline, file: Path, digest: str) -> RunRecord:
    now = time.time()
    steps = {name: StepRecord(kind=pipeline.steps[name].kind) for name in pipeline.order()}
    return RunRecord(run=runs.new_id(pipeline.name, now), pipeline=pipeline.name, file=str(file), fingerprint=digest, created=now, steps=steps)


@dataclass
class _Running:
    handle: str
    started: float
    attempt: int = 1
    offset: int = 0  # bytes of metrics.jsonl already shown


class _Driver:
    def __init__(self, binding: Binding, home: Home, record: RunRecord, options: Options, promotion: Promotion) -> None:
        self._binding, self._home, self._record, self._options, self._promotion = binding, home, record, options, promotion
        self._pipeline, self._show = binding.pipeline, options.progress
        self._backend = LocalBackend(home)
        self._running: dict[str, _Running] = {}
        serves = any(step.kind == Kind.DEPLOY for step in self._pipeline.steps.values())
        # A pipeline that serves has Ray anyway, so its training steps join it; otherwise each starts its own.
        self._services = Services(home, model=self._pipeline.name, port=self._pipeline.targets.local.port) if serves else None

    def drive(self) -> RunRecord:
        started, earlier = time.monotonic(), self._record.seconds
        self._forget_unfinished()
        self._change(JobState.RUNNING)
        try:
            if self._services:
                self._services.start(cpus=self._logical_cores(), keep=self._options.keep)
            self._loop()
            self._promotion.settle()
            self._record.state = JobState.SUCCEEDED
        except BaseException as error:
            self._record.state = JobState.STOPPED if isinstance(error, KeyboardInterrupt) else JobState.FAILED
            raise
        finally:
            self._stop_running()
            if self._services and not (self._options.keep and self._record.state == JobState.SUCCEEDED):
                self._services.stop()
            self._record.seconds = earlier + time.monotonic() - started
            self._change(self._record.state)
        return self._record

    def _forget_unfinished(self) -> None:
        """Of a continued run: keep the steps that finished, except those that only act on what is up right now."""
        for name, step in self._record.steps.items():
            if step.state != JobState.SUCCEEDED or not runs.is_complete(step):
                self._record.steps[name] = StepRecord(kind=step.kind)

    def _change(self, state: JobState) -> None:
        self._record.state = state
        self._record.save(self._home)

    def _logical_cores(self) -> int:
        """Cores that Ray is told of: what the training steps that may run at once ask for, however many there are."""
        asked = [step.resources.cpu * step.resources.max_workers for step in self._pipeline.steps.values() if step.kind == Kind.TRAIN]
        return max(1, int(sum(sorted(asked, reverse=True)[: self._pipeline.targets.local.max_parallel])))

    def _loop(self) -> None:
        while not all(step.state == JobState.SUCCEEDED for step in self._record.steps.values()):
            for name in self._startable():
                self._begin(name)
            for name in list(self._running):
                self._look(name)
            if self._services:
                self._services.advance()
            time.sleep(_TICK)

    def _startable(self) -> list[str]:
        free = self._pipeline.targets.local.max_parallel - len(self._running)
        waiting = [name for name in self._pipeline.order() if self._record.steps[name].state != JobState.SUCCEEDED and name not in self._running]
        return [name for name in waiting if self._has_inputs(name)][:free]

    def _has_inputs(self, name: str) -> bool:
        return all(self._record.steps[source].state == JobState.SUCCEEDED for source, _ in self._pipeline.sources(name).values())

    # One step begins

    def _begin(self, name: str) -> None:
        step, record, inputs = self._pipeline.steps[name], self._record.steps[name], self._inputs(name)
        job = self._binding.job(name, inputs)
        record.fingerprint = job.fingerprint
        if step.kind != Kind.DEPLOY and not self._options.fresh and (found := runs.finished_step(self._home, job.fingerprint)):
            record.outputs, record.summary, record.reused = found[1].outputs, found[1].summary, found[0]
            self._finish(name, "unchanged, reused")
            return
        plan = self._backend.plan(step, job, {key: product.uri for key, product in inputs.items()}, self._environment(name, step))
        if self._options.fresh:
            for uri in plan.outputs.values():
                shutil.rmtree(storage.local_path(uri), ignore_errors=True)
        earlier = self._running.get(name)
        record.handle = self._backend.submit(plan)
        self._running[name] = _Running(record.handle, time.monotonic(), attempt=earlier.attempt + 1 if earlier else 1)
        self._set(name, JobState.RUNNING)

    def _inputs(self, name: str) -> dict[str, Product]:
        inputs = self._binding.inputs(name, {key: step.outputs for key, step in self._record.steps.items()})
        champion = self._promotion.champion() if self._pipeline.steps[name].kind == Kind.EVALUATE else None
        if champion is not None and champion.fingerprint != inputs["bundle"].fingerprint:
            inputs["champion"] = Product(uri=champion.uri, fingerprint=champion.fingerprint)
        return inputs

    def _environment(self, name: str, step: Step) -> dict[str, str]:
        """SEATRIAL_* variables: what does not change, and what is up right now."""
        environment = self._binding.environment(name)
        if self._services and step.kind == Kind.TRAIN and step.resources.max_workers > 0:
            environment |= self._services.ray_variables()
        if self._services and step.kind == Kind.DEPLOY:
            environment |= self._promotion.serving_variables() | {"SEATRIAL_SERVE_URL": self._services.url()}
        return environment

    # One step runs and ends

    def _look(self, name: str) -> None:
        running, step = self._running[name], self._pipeline.steps[name]
        self._show_progress(name, running)
        state = self._backend.status(running.handle)
        if state == JobState.RUNNING:
            self._hold_to_time_limit(name, running, step)
            return
        self._record.steps[name].seconds = time.monotonic() - running.started
        if state == JobState.SUCCEEDED:
            del self._running[name]
            self._collect(name)
        elif self._was_killed(running) and running.attempt <= step.retries:
            self._show.note(f"{name} was killed; attempt {running.attempt + 1} goes on from its last checkpoint")
            self._begin(name)
        else:
            del self._running[name]
            folder = self._backend.folder(self._record.run, name)
            self._fail(name, explain(name, folder, self._backend.exit_code(running.handle)))

    def _hold_to_time_limit(self, name: str, running: _Running, step: Step) -> None:
        if step.time_limit and time.monotonic() - running.started > seconds(step.time_limit):
            self._backend.stop(running.handle)
            del self._running[name]
            self._fail(name, StepFailed(f"stopped after its time limit of {step.time_limit}", where=name, hint="raise `time_limit` in the job file"))

    def _was_killed(self, running: _Running) -> bool:
        """By a signal, such as the system's when memory runs out; a step that ends by itself has retried its workers already."""
        return (self._backend.exit_code(running.handle) or 0) < 0

    def _show_progress(self, name: str, running: _Running) -> None:
        path = self._backend.folder(self._record.run, name) / METRICS
        if not path.exists() or path.stat().st_size <= running.offset:
            return
        with path.open("rb") as stream:
            stream.seek(running.offset)
            data = stream.read()
        complete = data[: data.rfind(b"\n") + 1]
        running.offset += len(complete)
        for line in map(json.loads, complete.splitlines()):
            self._show.update(name, JobState.RUNNING, line.get("message", ""), line.get("fraction"))

    def _collect(self, name: str) -> None:
        record = self._record.steps[name]
        result = StepResult.model_validate_json((self._backend.folder(self._record.run, name) / OUTPUTS).read_bytes())
        record.outputs, record.summary = result.outputs, result.summary
        self._finish(name, str(result.summary.get("headline", "")))

    def _finish(self, name: str, message: str) -> None:
        kind = self._pipeline.steps[name].kind
        if kind == Kind.TRAIN:
            self._promotion.record_training(self._trained(name))
        if kind == Kind.EVALUATE:
            self._register(name)
        self._set(name, JobState.SUCCEEDED, message, self._record.steps[name].seconds)

    def _trained(self, name: str) -> TrainedStep:
        """A training step under the run that really trained it, so that a reused one is not recorded twice."""
        record, step = self._record.steps[name], self._pipeline.steps[name]
        run = record.reused or self._record.run
        tags = {"seatrial.run": run, "seatrial.code": self._binding.code_digest, "seatrial.step": record.fingerprint}
        tags |= {f"seatrial.input.{key}": product.fingerprint for key, product in self._inputs(name).items()}
        return TrainedStep(run, name, self._backend.folder(run, name), step.model_dump(mode="json", include={"entry", "params", "resources"}), tags)

    def _register(self, name: str) -> None:
        """After a verdict: register the bundle that an earlier step of this file trained."""
        report, source = self._record.steps[name].outputs.get("report"), self._pipeline.sources(name).get("bundle")
        if report is None or source is None:
            return
        verdict = json.loads(storage.read_bytes(storage.join(report.uri, "verdict.json")))
        bundle = self._record.steps[source[0]].outputs[source[1]]
        tags = {"seatrial.run": self._record.run, "seatrial.report": report.uri, "seatrial.dataset": self._inputs(name)["dataset"].fingerprint}
        version = self._promotion.register(self._trained(source[0]), bundle.uri, report=storage.join(report.uri, "report.html"), verdict=verdict, tags=tags)
        self._record.model_version, self._record.verdict = version.version, verdict

    def _fail(self, name: str, error: SeatrialError) -> None:
        self._set(name, JobState.FAILED, error.what, self._record.steps[name].seconds)
        raise error

    def _stop_running(self) -> None:
        for name, running in self._running.items():
            self._backend.stop(running.handle)
            self._set(name, JobState.STOPPED)

    def _set(self, name: str, state: JobState, message: str = "", took: float | None = None) -> None:
        record = self._record.steps[name]
        record.state, record.message = state, message
        self._record.save(self._home)
        self._show.update(name, state, message, seconds=took)
