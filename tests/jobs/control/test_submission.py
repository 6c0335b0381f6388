"""One step by itself, on a target whose answers the tests write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts.errors import RequestError, SpecError, StorageError
from jobs.contracts.job import Product, StepResult
from jobs.contracts.states import JobState
from jobs.control import runs, watching, watching_runs
from jobs.control.handles import Handles
from jobs.control.home import Home
from jobs.control.runs import RunRecord, StepRecord
from jobs.control.submission import Ask, Submitted, submit
from tests.factories import make_bundle, make_dataset
from tests.jobs.control import scripted_target

ROOT = Path(__file__).parents[3]
FILE = """
apiVersion: seatrial/v1
name: tiny
steps:
  prepare: {kind: etl, entry: "work:build", inputs: {raw: raw}, outputs: {rows: dataset}, retries: 2}
  fit: {kind: train, entry: "work:model", inputs: {rows: prepare.rows}, outputs: {bundle: bundle}, spot: true}
  judge: {kind: evaluate, inputs: {dataset: prepare.rows, bundle: fit.bundle}, outputs: {report: report}}
  answer: {kind: deploy, inputs: {bundle: fit.bundle}}
"""


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted_target.register(monkeypatch)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "job.yaml").write_text(FILE)
    (tmp_path / "work.py").write_text("")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "points.csv").write_text("a,b\n1,2\n")
    return Home(tmp_path / ".seatrial")


def _submit(home: Home, step: str = "prepare", *, run: str = "", overrides: tuple[str, ...] = (), target: str = "scripted", **inputs: str) -> Submitted:
    return submit(Ask(home.root.parent / "job.yaml", target, step, inputs, overrides, run), home)


def _say(home: Home, handle: str, state: JobState) -> None:
    (home.root / "scripted" / f"{handle.rpartition('/')[2]}.state").write_text(state)


def _sent(home: Home, handle: str) -> dict[str, Any]:
    return dict(json.loads((home.root / "scripted" / f"{handle.rpartition('/')[2]}.json").read_text()))


def _job(home: Home, submitted: Submitted) -> dict[str, Any]:
    return dict(_sent(home, submitted.handle)["job"])


def _succeed(home: Home, submitted: Submitted, fingerprint: str = "f00d") -> None:
    """The target's side of a finished step: its products, then outputs.json, then the state."""
    folder = Path(submitted.plan.folder)
    made = {name: Product(uri=f"/in/the/pod/{name}", fingerprint=fingerprint) for name in submitted.plan.outputs}
    for uri in submitted.plan.outputs.values():
        Path(uri).mkdir(parents=True)
    (folder / "outputs.json").write_text(StepResult(outputs=made, summary={"headline": "two rows"}).model_dump_json())
    _say(home, submitted.handle, JobState.SUCCEEDED)


def test_a_submission_is_recorded_sent_once_and_found_by_any_process(home: Home) -> None:
    submitted = _submit(home)
    assert submitted.handle == f"scripted://here/{submitted.plan.run}-prepare-1"
    assert submitted.sent
    assert _sent(home, submitted.handle)["sent"] == 1
    (job,) = Handles(home).all()
    assert (job.handle, job.pipeline, job.run, job.step, job.kind, job.alone) == (submitted.handle, "tiny", submitted.plan.run, "prepare", "etl", True)
    record = runs.find_run(home, submitted.plan.run)
    assert (record.target, record.state, record.steps["prepare"].handle) == ("scripted", JobState.RUNNING, submitted.handle)
    assert not runs.is_driven(home, record.run)


def test_another_machine_is_told_which_versions_are_expected(home: Home) -> None:
    assert "SEATRIAL_EXPECT_VERSIONS" in _sent(home, _submit(home).handle)["context"]


@pytest.mark.parametrize(
    ("step", "inputs", "said"),
    [
        ("", {}, "this file has 4 steps"),
        ("prepared", {}, "no step 'prepared'"),
        ("answer", {}, "whole run"),
        ("prepare", {"rows": "/d"}, "no input 'rows'"),
        ("fit", {}, "made by the step 'prepare', which has not finished"),
    ],
)
def test_what_cannot_be_submitted_says_what_to_do_and_leaves_nothing(home: Home, step: str, inputs: dict[str, str], said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        _submit(home, step, **inputs)
    assert "next:" in str(caught.value)
    assert not list(home.runs.glob("*"))
    assert Handles(home).all() == []


def test_the_missing_input_names_the_command_that_makes_it(home: Home) -> None:
    with pytest.raises(RequestError, match=r"seatrial run .*job.yaml --on scripted.*--input rows=URI"):
        _submit(home, "fit")


def test_what_the_check_refuses_is_not_sent(home: Home) -> None:
    home.create()
    (home.root / "scripted").mkdir()
    (home.root / "scripted" / "refuses").write_text("no GPU is left in this namespace")
    with pytest.raises(RequestError, match=r"no GPU is left(.|\n)*ask for more"):
        _submit(home)
    assert list(home.runs.iterdir()) == []


def test_a_wrong_job_file_and_an_unknown_target_are_told_first(home: Home) -> None:
    with pytest.raises(SpecError, match="unknown key"):
        _submit(home, overrides=("steps.prepare.color=red",))
    with pytest.raises(RequestError, match="known targets: local"):
        _submit(home, target="moon")
    assert not home.root.exists()


def test_submitting_again_is_another_run_unless_the_run_is_named(home: Home) -> None:
    first, second = _submit(home), _submit(home)
    assert first.plan.run != second.plan.run
    assert any(first.plan.run in note for note in second.notes)
    again = _submit(home, run=first.plan.run)
    assert again.handle == first.handle
    assert len(Handles(home).all()) == 2


def test_a_run_may_be_named_before_and_is_that_work_only(home: Home) -> None:
    submitted = _submit(home, run="monday")
    assert submitted.plan.run == "monday"
    with pytest.raises(RequestError, match="other work"):
        _submit(home, run="monday", overrides=("steps.prepare.params.seed=2",))
    with pytest.raises(RequestError, match="no run id"):
        _submit(home, run="../monday")


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.STOPPED])
def test_after_a_failure_the_same_run_gets_another_attempt(home: Home, state: JobState) -> None:
    first = _submit(home)
    _say(home, first.handle, state)
    again = _submit(home, run=first.plan.run)
    assert (again.plan.run, again.handle) == (first.plan.run, first.handle.removesuffix("1") + "2")
    assert runs.find_run(home, first.plan.run).steps["prepare"].attempt == 2
    assert watching.look(home, again.handle) == JobState.RUNNING


def test_a_run_that_has_finished_is_not_sent_again(home: Home) -> None:
    first = _submit(home)
    _succeed(home, first)
    again = _submit(home, run=first.plan.run)
    assert (again.sent, again.handle) == (False, first.handle)
    assert _sent(home, first.handle)["sent"] == 1


def test_a_client_that_is_killed_while_it_submits_goes_on_under_the_same_run(home: Home) -> None:
    home.create()
    (home.root / "scripted").mkdir()
    (home.root / "scripted" / "breaks").write_text("")
    argv = [sys.executable, "-c", scripted_target.CLIENT, "submit", "job.yaml", "--step", "prepare", "--on", "scripted"]
    killed = subprocess.run(argv, cwd=home.root.parent, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False)
    assert killed.returncode == -9
    (job,) = Handles(home).all()
    assert (job.state, runs.find_run(home, job.run).state) == (JobState.QUEUED, JobState.QUEUED)
    (home.root / "scripted" / "breaks").unlink()
    again = _submit(home)
    assert (again.plan.run, again.handle) == (job.run, job.handle)
    assert len(Handles(home).all()) == 1
    assert _submit(home).plan.run != job.run  # the submission that was cut off is whole now


def test_a_target_that_goes_away_while_it_is_sent_to_leaves_a_record(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripted_target.ScriptedBackend, "check", lambda self, plan: [])
    home.create()
    (home.root / "scripted").mkdir()
    (home.root / "scripted" / "unreachable").write_text("")
    with pytest.raises(StorageError, match="connection refused"):
        _submit(home)
    (job,) = Handles(home).all()
    assert job.state == JobState.UNKNOWN
    (home.root / "scripted" / "unreachable").unlink()
    assert _submit(home).plan.run == job.run


def test_what_a_step_made_is_known_by_the_plans_locations_and_feeds_the_next(home: Home) -> None:
    first = _submit(home)
    with pytest.raises(RequestError, match="still under way"):
        _submit(home, "fit")
    _succeed(home, first)
    fit = _submit(home, "fit")  # nobody looked at the first one in between
    record = runs.find_run(home, first.plan.run)
    assert record.state == record.steps["prepare"].state == JobState.SUCCEEDED
    assert record.steps["prepare"].outputs == {"rows": Product(uri=first.plan.outputs["rows"], fingerprint="f00d")}
    assert record.steps["prepare"].message == "two rows"
    assert _sent(home, fit.handle)["inputs"] == {"rows": first.plan.outputs["rows"]}
    assert fit.plan.losses == ("spot: none",)
    assert (home.runs / first.plan.run / "prepare" / "log.txt").read_text() == "first\nsecond\n"


def test_other_settings_of_the_earlier_step_do_not_count(home: Home) -> None:
    first = _submit(home)
    _succeed(home, first)
    watching.look(home, first.handle)
    with pytest.raises(RequestError, match="has not finished with these settings"):
        _submit(home, "fit", overrides=("steps.prepare.params.seed=2",))


def test_a_failed_step_keeps_what_it_said(home: Home) -> None:
    first = _submit(home)
    Path(first.plan.folder).mkdir(parents=True)
    (Path(first.plan.folder) / "error.json").write_text(json.dumps({"what": "a column is missing", "where": "points.csv", "hint": "add it"}))
    _say(home, first.handle, JobState.FAILED)
    assert watching.look(home, first.handle) == JobState.FAILED
    assert runs.find_run(home, first.plan.run).steps["prepare"].message == "a column is missing"
    assert str(watching.why_failed(home, first.handle)) == "prepare: points.csv: a column is missing\n  next: add it"


def test_inputs_given_keep_the_fingerprints_they_carry(home: Home, tmp_path: Path) -> None:
    manifest = make_dataset(tmp_path / "d", rows=200)
    bundle = make_bundle(tmp_path / "b", tmp_path / "d")
    judge = _submit(home, "judge", dataset=str(tmp_path / "d"), bundle=str(tmp_path / "b"))
    assert any("nothing is registered" in note for note in judge.notes)
    assert _job(home, judge)["input_fingerprints"] == {"dataset": manifest.fingerprint, "bundle": bundle.fingerprint}


def test_an_input_that_carries_nothing_is_known_by_its_content(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "points.csv").write_text("a,b\n1,2\n")
    given, written = _submit(home, raw="other"), _submit(home)
    assert _sent(home, given.handle)["inputs"] == {"raw": str(other)}
    assert _job(home, given)["fingerprint"] == _job(home, written)["fingerprint"]
    (other / "manifest.json").write_text("{}")
    with pytest.raises(RequestError, match="cannot be read"):
        _submit(home, raw=str(other))


def test_a_step_that_ended_here_serves_another_target_from_here(home: Home) -> None:
    first = _submit(home)
    product = home.root.parent / "product"
    product.mkdir()
    (product / "part").write_text("12345")
    record = runs.find_run(home, first.plan.run)
    step = StepRecord(kind="etl", state=JobState.SUCCEEDED, fingerprint=record.steps["prepare"].fingerprint)
    step.outputs = {"rows": Product(uri=str(product), fingerprint="f00d")}
    RunRecord(run="here", pipeline="tiny", file="f", fingerprint="x", target="local", created=time.time(), steps={"prepare": step}).save(home)
    watching.stop(home, first.handle)
    assert _sent(home, _submit(home, "fit").handle)["inputs"] == {"rows": str(product)}


def test_notes_tell_what_a_step_by_itself_does_without(home: Home) -> None:
    assert any("retries" in note for note in _submit(home).notes)


# Looking, waiting and stopping


def test_waiting_ends_with_the_job_and_tells_each_state_once(home: Home) -> None:
    handle = _submit(home).handle
    told: list[JobState] = []

    def tell(state: JobState) -> None:
        told.append(state)
        _say(home, handle, JobState.STOPPED)

    assert watching.wait(home, handle, 30, tell) == JobState.STOPPED
    assert told == [JobState.RUNNING, JobState.STOPPED]


def test_waiting_has_a_limit_and_survives_a_target_that_is_away_for_a_while(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = _submit(home).handle
    assert watching.wait(home, handle, 0.05) == JobState.RUNNING
    away = home.root / "scripted" / "unreachable"

    def go_away(state: JobState) -> None:
        away.write_text("")

    monkeypatch.setattr(watching, "_PATIENCE", 0.2)
    with pytest.raises(StorageError, match="connection refused"):
        watching.wait(home, handle, None, go_away)
    away.unlink()
    assert watching.wait(home, "scripted://here/never", 30) == JobState.UNKNOWN


def test_stopping_may_be_repeated_and_a_job_that_ended_stays_as_it_was(home: Home) -> None:
    first, second = _submit(home), _submit(home)
    assert [watching.stop(home, first.handle) for _ in range(2)] == [JobState.STOPPED] * 2
    _say(home, second.handle, JobState.FAILED)
    assert watching.stop(home, second.handle) == JobState.FAILED
    assert {job.handle: job.state for job in Handles(home).all()} == {first.handle: JobState.STOPPED, second.handle: JobState.FAILED}


def test_a_run_is_stopped_step_by_step_and_marked_where_nobody_drives_it(home: Home) -> None:
    handles = [_submit(home).handle for _ in range(2)]
    _say(home, handles[1], JobState.SUCCEEDED)
    steps = {f"s{number}": StepRecord(kind="train", state=JobState.RUNNING, handle=handle) for number, handle in enumerate(handles)}
    record = RunRecord(run="pipe", pipeline="p", file="f", fingerprint="x", created=1, steps=steps | {"later": StepRecord(kind="etl")})
    record.save(home)
    with runs.locked(home.runs / "pipe"):
        driven = watching_runs.stop(home, "pipe")
    assert [step.state for step in driven.steps.values()] == [JobState.STOPPED, JobState.SUCCEEDED, JobState.QUEUED]
    assert runs.find_run(home, "pipe").state == JobState.RUNNING  # its driver says how it ends
    assert watching_runs.stop(home, "pipe").state == JobState.STOPPED
    assert runs.find_run(home, "pipe").state == JobState.STOPPED


def test_a_run_that_nobody_drives_is_not_waited_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    RunRecord(run="pipe", pipeline="p", file="f", fingerprint="x", created=1, steps={"one": StepRecord(kind="train")}).save(home)
    monkeypatch.setattr(watching_runs, "_UNDRIVEN", 0.0)
    assert watching_runs.wait(home, "pipe").state == JobState.RUNNING
    alone = _submit(home)
    _say(home, alone.handle, JobState.STOPPED)
    assert watching_runs.wait(home, alone.plan.run).state == JobState.STOPPED


def test_refreshing_asks_unfinished_jobs_only_and_keeps_what_it_cannot_reach(home: Home) -> None:
    ended, running = _submit(home).handle, _submit(home).handle
    _say(home, ended, JobState.SUCCEEDED)
    watching.look(home, ended)
    _say(home, ended, JobState.FAILED)  # would be seen if it were asked again
    _say(home, running, JobState.STOPPING)
    seen = {each.record.handle: each for each in watching.refresh(home, Handles(home).all())}
    assert {handle: each.record.state for handle, each in seen.items()} == {ended: JobState.SUCCEEDED, running: JobState.STOPPING}
    (home.root / "scripted" / "unreachable").write_text("")
    seen = {each.record.handle: each for each in watching.refresh(home, Handles(home).all())}
    assert (seen[running].reached, seen[running].record.state) == (False, JobState.STOPPING)
    assert "connection refused" in seen[running].why
    assert seen[ended].reached


def test_a_target_that_hangs_costs_its_limit_and_no_more(home: Home) -> None:
    handle = _submit(home).handle
    (home.root / "scripted" / "hangs").write_text("")
    began = time.monotonic()
    (seen,) = watching.refresh(home, Handles(home).all(), limit=0.3)
    assert time.monotonic() - began < 10
    (home.root / "scripted" / "hangs").unlink()
    assert (seen.record.handle, seen.reached, seen.record.state) == (handle, False, JobState.QUEUED)
    assert "no answer" in seen.why
