"""The pipeline driver: submits a run's steps in order on any target, reuses what is unchanged, retries what was lost."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from jobs.contracts import storage
from jobs.contracts.errors import InputError, RunError, SeatrialError, SetupError, StepFailed
from jobs.contracts.job import ERROR, METRICS, OUTPUTS, Product, StepResult, reported
from jobs.contracts.states import JobState
from jobs.control import runs
from jobs.control.backend import Backend, Concludes
from jobs.control.binding import Binding, expected_versions
from jobs.control.failures import explain
from jobs.control.handles import Handles
from jobs.control.home import Home
from jobs.control.plan import Plan, Source
from jobs.control.preflight import refuse_if_unfit
from jobs.control.progress import Progress
from jobs.control.promotion import Promotion, TrainedStep
from jobs.control.runs import RunRecord, StepRecord
from jobs.control.spec import Kind, Step, seconds
from jobs.control.surroundings import Surroundings

LOG = "log.txt"
_PATIENCE = 120.0  # seconds for which a target may not answer
_WONDER = 30.0  # seconds that a job may wait until the target is asked why, and between two such questions


@dataclass
class _Running:
    handle: str  # as the target gave it, which may say more than the plan's
    plan: Plan
    started: float
    tries: int = 1  # by this driver
    lines: int = 0  # of metrics.jsonl already shown; a later attempt adds to the same file
    state: JobState = JobState.QUEUED
    silent: float = 0.0  # since when the target does not answer; 0 = it does
    asked: float = 0.0  # when the target was last asked why it waits


class Driver:
    def __init__(
        self,
        binding: Binding,
        home: Home,
        record: RunRecord,
        backend: Backend,
        around: Surroundings,
        promotion: Promotion,
        progress: Progress,
        *,
        fresh: bool = False,
    ) -> None:
        self._binding, self._home, self._record, self._backend = binding, home, record, backend
        self._around, self._promotion, self._show, self._fresh = around, promotion, progress, fresh
        self._pipeline = binding.pipeline
        self._running: dict[str, _Running] = {}
        self._handles = Handles(home)

    def drive(self) -> RunRecord:
        started, earlier = time.monotonic(), self._record.seconds
        self._take_up()
        self._change(JobState.RUNNING)
        try:
            self._around.start()
            self._loop()
            self._promotion.settle()
            self._record.state = JobState.SUCCEEDED
        except BaseException as error:
            self._record.state = JobState.STOPPED if isinstance(error, KeyboardInterrupt) else JobState.FAILED
            raise
        finally:
            self._stop_running()
            self._around.stop(succeeded=self._record.state == JobState.SUCCEEDED)
            self._record.seconds = earlier + time.monotonic() - started
            self._change(self._record.state)
        return self._record

    def _take_up(self) -> None:
        """Of a continued run: keep the steps that finished, except those that only act on what is up right now.

        A step that a dead driver had submitted is submitted again: the target finds that it runs already, or has ended.
        """
        for name, step in self._record.steps.items():
            if step.state != JobState.SUCCEEDED or not runs.is_complete(step, self._backend.exists):
                ended = bool(step.handle) and self._backend.status(step.handle) in (JobState.FAILED, JobState.STOPPED)
                self._record.steps[name] = StepRecord(kind=step.kind, attempt=step.attempt + ended)

    def _change(self, state: JobState) -> None:
        self._record.state = state
        self._record.save(self._home)

    def _loop(self) -> None:
        while not all(step.state == JobState.SUCCEEDED for step in self._record.steps.values()):
            for name in self._startable():
                self._begin(name)
            for name in list(self._running):
                self._look(name)
            self._around.advance()
            time.sleep(self._backend.poll)

    def _startable(self) -> list[str]:
        free = self._pipeline.targets.local.max_parallel - len(self._running)
        waiting = [name for name in self._pipeline.order() if self._record.steps[name].state != JobState.SUCCEEDED and name not in self._running]
        return [name for name in waiting if self._has_inputs(name)][:free]

    def _has_inputs(self, name: str) -> bool:
        return all(self._record.steps[source].state == JobState.SUCCEEDED for source, _ in self._pipeline.sources(name).values())

    # One step begins

    def _begin(self, name: str, tries: int = 1, lines: int = 0) -> None:
        step, record, inputs = self._pipeline.steps[name], self._record.steps[name], self._inputs(name)
        job = self._binding.job(name, inputs)
        record.fingerprint = job.fingerprint
        if step.kind != Kind.DEPLOY and not self._fresh and (found := self._finished_before(job.fingerprint)):
            record.outputs, record.summary, record.reused, record.folder = found[1].outputs, found[1].summary, found[0], found[1].folder
            self._finish(name, "unchanged, reused")
            return
        plan = self._backend.plan(step, job, inputs, self._binding.code, self._context(step), record.attempt)
        if self._fresh:
            runs.forget(plan.outputs)
        handle = self._send(name, step, plan)
        self._running[name] = _Running(handle, plan, time.monotonic(), tries, lines)
        self._set(name, JobState.RUNNING if self._record.target == "local" else JobState.QUEUED)

    def _finished_before(self, fingerprint: str) -> tuple[str, StepRecord] | None:
        return runs.finished_step(self._home, fingerprint, self._record.target, self._backend.exists)

    def _send(self, name: str, step: Step, plan: Plan) -> str:
        """Recorded before it is sent: a driver that dies in between leaves a handle, not a job that nobody knows."""
        refuse_if_unfit(self._backend, plan)
        record = self._record.steps[name]
        record.handle, record.folder = plan.handle, plan.folder
        self._record.save(self._home)
        self._handles.record(plan, self._pipeline.name, step.kind)
        self._backend.stage(plan)
        record.handle = self._backend.submit(plan)
        self._handles.moved(plan.handle, record.handle)
        return record.handle

    def _inputs(self, name: str) -> dict[str, Source]:
        inputs = self._binding.inputs(name, {key: step.outputs for key, step in self._record.steps.items()})
        champion = self._promotion.champion_source() if self._pipeline.steps[name].kind == Kind.EVALUATE else None
        if champion is not None and champion.fingerprint != inputs["bundle"].fingerprint:
            inputs["champion"] = champion
        return inputs

    def _context(self, step: Step) -> dict[str, str]:
        """SEATRIAL_* variables: what is up right now, and what only the driver knows."""
        variables = dict(self._around.variables(step))
        if self._record.target != "local":
            variables |= expected_versions()
        if step.kind == Kind.DEPLOY:
            variables |= self._promotion.serving_variables(self._products())
        return variables

    def _products(self) -> list[Product]:
        return [product for step in self._record.steps.values() for product in step.outputs.values()]

    # One step runs and ends

    def _look(self, name: str) -> None:
        running, step = self._running[name], self._pipeline.steps[name]
        try:
            self._show_progress(name, running)
            state = self._backend.status(running.handle)
            running.silent = 0.0
        except (SetupError, RunError) as error:
            self._bear_silence(name, running, error)
            return
        if state.is_final or state == JobState.UNKNOWN:
            self._ended(name, running, step, state)
            return
        if state not in (running.state, JobState.RUNNING):
            self._set(name, state)
        running.state = state
        if state in (JobState.QUEUED, JobState.STARTING):
            self._say_why_it_waits(name, running)
        self._hold_to_time_limit(name, running, step)

    def _bear_silence(self, name: str, running: _Running, error: SeatrialError) -> None:
        """A target that does not answer for a while is no failed step; the job goes on there."""
        running.silent = running.silent or time.monotonic()
        if self._record.target == "local" or time.monotonic() - running.silent > _PATIENCE:
            raise error
        self._show.update(name, running.state, f"the target does not answer: {error.what}")

    def _say_why_it_waits(self, name: str, running: _Running) -> None:
        now = time.monotonic()
        if now - max(running.started, running.asked) < _WONDER:
            return
        running.asked = now
        for cause in self._backend.explain(running.handle)[:1]:
            self._show.update(name, running.state, f"waits: {cause.what}; {cause.hint}")

    def _ended(self, name: str, running: _Running, step: Step, state: JobState) -> None:
        self._record.steps[name].seconds = time.monotonic() - running.started
        self._handles.update(running.handle, state)
        self._keep_log(name, running.handle)
        del self._running[name]
        if state == JobState.SUCCEEDED:
            if isinstance(self._backend, Concludes):
                self._backend.conclude(running.plan)
            self._collect(name, running.plan)
            return
        told = self._error(running.plan) if state == JobState.FAILED else None
        if told is None and state != JobState.STOPPED and not self._backend.retries and running.tries <= step.retries:
            self._show.note(f"{name} was lost; attempt {running.tries + 1} goes on from its last checkpoint")
            self._record.steps[name].attempt += 1
            self._begin(name, running.tries + 1, running.lines)
            return
        if state == JobState.STOPPED:
            self._fail(name, StepFailed("it was stopped on request", where=name, hint="the same command goes on from its last checkpoint"))
        self._fail(name, explain(name, told, self._backend.explain(running.handle), str(self._log_of(name))))

    def _error(self, plan: Plan) -> dict[str, Any] | None:
        """What the step said of its own failure; None when it was killed and could not say anything."""
        try:
            return dict(json.loads(self._backend.read(storage.join(plan.folder, ERROR))))
        except (SeatrialError, ValueError):
            return None

    def _log_of(self, name: str) -> str:
        return str(self._home.runs / self._record.run / name / LOG)

    def _keep_log(self, name: str, handle: str) -> None:
        """A target's log outlives the target here. On this machine it is here already."""
        if self._record.target == "local":
            return
        try:
            text = "".join(self._backend.logs(handle))
        except SeatrialError as error:
            text = f"the log could not be read: {error}\n"
        storage.write_bytes(self._log_of(name), text.encode())

    def _hold_to_time_limit(self, name: str, running: _Running, step: Step) -> None:
        if step.time_limit and time.monotonic() - running.started > seconds(step.time_limit):
            self._backend.stop(running.handle)
            del self._running[name]
            self._fail(name, StepFailed(f"stopped after its time limit of {step.time_limit}", where=name, hint="raise `time_limit` in the job file"))

    def _show_progress(self, name: str, running: _Running) -> None:
        try:
            data = self._backend.read(storage.join(running.plan.folder, METRICS))
        except InputError:
            return
        lines = data[: data.rfind(b"\n") + 1].decode(errors="replace").splitlines()
        for line in reported("\n".join(lines[running.lines :])):
            self._show.update(name, JobState.RUNNING, line.get("message", ""), line.get("fraction"))
        running.lines = max(running.lines, len(lines))

    def _collect(self, name: str, plan: Plan) -> None:
        record = self._record.steps[name]
        result = StepResult.model_validate_json(self._backend.read(storage.join(plan.folder, OUTPUTS)))
        # The target's own paths mean nothing here; the plan's locations do.
        record.outputs = {key: Product(uri=plan.outputs.get(key, product.uri), fingerprint=product.fingerprint) for key, product in result.outputs.items()}
        record.summary = result.summary
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
        tags = {"seatrial.run": run, "seatrial.code": self._binding.code.fingerprint, "seatrial.step": record.fingerprint}
        tags |= {f"seatrial.input.{key}": source.fingerprint for key, source in self._inputs(name).items()}
        try:
            metrics = self._backend.read(storage.join(record.folder, METRICS))
        except InputError:
            metrics = b""
        facts = step.model_dump(mode="json", include={"entry", "params", "resources"})
        facts["params"] |= record.summary.get("tuned", {})
        return TrainedStep(run, name, metrics.decode(), facts, tags)

    def _register(self, name: str) -> None:
        """After a verdict: register the bundle that an earlier step of this file trained."""
        report, source = self._record.steps[name].outputs.get("report"), self._pipeline.sources(name).get("bundle")
        if report is None or source is None:
            return
        verdict = json.loads(self._backend.read(storage.join(report.uri, "verdict.json")))
        bundle = self._record.steps[source[0]].outputs[source[1]]
        tags = {"seatrial.run": self._record.run, "seatrial.report": report.uri, "seatrial.dataset": self._inputs(name)["dataset"].fingerprint}
        version = self._promotion.register(self._trained(source[0]), bundle, self._backend.fetch, verdict=verdict, tags=tags)
        self._record.model_version, self._record.verdict = version.version, verdict

    def _fail(self, name: str, error: SeatrialError) -> None:
        self._set(name, JobState.FAILED, error.what, self._record.steps[name].seconds)
        raise error

    def _stop_running(self) -> None:
        for name, running in self._running.items():
            self._stop_one(name, running)
            self._handles.update(running.handle, JobState.STOPPED)
            self._set(name, JobState.STOPPED)

    def _stop_one(self, name: str, running: _Running) -> None:
        """What has ended is left alone: an endpoint that answers already is no work under way. What ends the run says more than a stop that fails."""
        try:
            if not self._backend.status(running.handle).is_final:
                self._backend.stop(running.handle)
        except SeatrialError as error:
            self._show.note(f"{name} could not be stopped ({error.what}); try: seatrial stop {running.handle}")

    def _set(self, name: str, state: JobState, message: str = "", took: float | None = None) -> None:
        record = self._record.steps[name]
        record.state, record.message = state, message
        self._record.save(self._home)
        self._show.update(name, state, message, seconds=took)
