from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs.contracts.errors import RequestError
from jobs.contracts.job import Product
from jobs.contracts.states import JobState
from jobs.control import runs
from jobs.control.home import Home
from jobs.control.runs import RunRecord, StepRecord


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / ".seatrial")
    home.create()
    return home


def _record(home: Home, run: str, created: float, state: JobState = JobState.SUCCEEDED, **step: object) -> RunRecord:
    record = RunRecord(run=run, pipeline="p", file="p.yaml", fingerprint="same", created=created, state=state, steps={"one": StepRecord(kind="etl", **step)})  # type: ignore[arg-type]
    record.save(home)
    return record


def test_a_run_id_is_a_dns_label() -> None:
    assert re.fullmatch(r"[a-z][-a-z0-9]{0,62}", runs.new_id("a" * 30, now=0))


def test_runs_are_listed_newest_first_and_damage_is_passed_over(home: Home) -> None:
    _record(home, "old", 1)
    _record(home, "new", 2)
    (home.runs / "broken").mkdir()
    (home.runs / "broken" / "run.json").write_text("{")
    assert [record.run for record in runs.list_runs(home)] == ["new", "old"]


def test_only_the_newest_run_of_the_same_work_is_continued(home: Home) -> None:
    _record(home, "stopped", 1, JobState.STOPPED)
    assert (found := runs.unfinished(home, "same")) is not None
    assert found.run == "stopped"
    assert runs.unfinished(home, "other work") is None
    _record(home, "done", 2)
    assert runs.unfinished(home, "same") is None


def test_a_run_that_somebody_works_on_is_left_alone(home: Home) -> None:
    _record(home, "busy", 1, JobState.RUNNING)
    with runs.locked(home.runs / "busy"):
        assert runs.unfinished(home, "same") is None
        with pytest.raises(RequestError, match="another process"), runs.locked(home.runs / "busy"):
            pass
    assert runs.unfinished(home, "same") is not None


def test_a_finished_step_is_found_while_its_products_are_there(home: Home, tmp_path: Path) -> None:
    product = tmp_path / "product"
    product.mkdir()
    _record(home, "done", 1, state=JobState.SUCCEEDED, **{"fingerprint": "f", "outputs": {"x": Product(uri=str(product), fingerprint="x")}})
    record = next(runs.list_runs(home))
    record.steps["one"].state = JobState.SUCCEEDED
    record.save(home)
    assert (found := runs.finished_step(home, "f")) is not None
    assert found[0] == "done"
    product.rmdir()
    assert runs.finished_step(home, "f") is None
