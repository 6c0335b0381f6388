"""The doctor's table against what real clusters wrote.

``events/<cause>.yaml`` holds the texts and where each was found: a thread (``owner/repository#number``), a program's source
(``owner/repository:path``, its placeholders filled in) or a page. Names of strangers' objects are shortened.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.contracts import versions
from jobs.control.causes import match
from jobs.control.causes.row import Row
from jobs.control.causes.table import TABLE

EVENTS = Path(__file__).parent / "events"
REPOSITORY = Path(__file__).parents[3]


def _events(name: str) -> list[dict[str, Any]]:
    return yaml.safe_load((EVENTS / f"{name}.yaml").read_text())


RECORDED = [(path.stem, event) for path in sorted(EVENTS.glob("*.yaml")) if path.stem != "healthy" for event in _events(path.stem)]


@pytest.mark.parametrize(("name", "event"), RECORDED, ids=[f"{name}-{event['source']}" for name, event in RECORDED])
def test_a_recorded_report_gives_its_cause_and_no_other(name: str, event: dict[str, Any]) -> None:
    causes = match([event["text"]])
    assert [cause.name for cause in causes] == [name]
    assert event["says"] in causes[0].what
    assert causes[0].hint
    assert causes[0].evidence.strip("…") in event["text"]
    assert not re.search(r"[{}]|  |: ?$|None", causes[0].what.replace("{}", "")), causes[0].what


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.name}: {row.what[:40]}")
def test_every_row_of_the_table_is_spoken_by_a_recorded_report(row: Row) -> None:
    texts = [event["text"] for name, event in RECORDED if name == row.name]
    assert any(re.search(row.pattern, line) and _first_row(line) is row for text in texts for line in text.splitlines())


def _first_row(line: str) -> Row | None:
    return next((row for row in TABLE if re.search(row.pattern, line)), None)


def test_every_report_names_its_source() -> None:
    for name, event in [*RECORDED, *(("healthy", event) for event in _events("healthy"))]:
        source = event["source"]
        assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+|[\w.-]+/[\w.-]+:[\w./-]+|seatrial:[\w./-]+|https://\S+", source), (name, source)
        if source.startswith("seatrial:"):
            assert (REPOSITORY / source.removeprefix("seatrial:")).exists()


@pytest.mark.parametrize("event", _events("healthy"), ids=lambda event: event["text"][:50])
def test_a_healthy_report_gives_no_cause(event: dict[str, Any]) -> None:
    assert match([event["text"]]) == []


def test_many_reports_give_each_cause_once_and_the_explanation_before_its_consequence() -> None:
    texts = [event["text"] for name in ("healthy", "deadline", "unschedulable", "crash-loop", "healthy", "unschedulable") for event in _events(name)]
    assert [cause.name for cause in match(texts)] == ["unschedulable", "deadline", "crash-loop"]


def test_the_more_telling_line_of_a_failed_pull_is_chosen_whatever_the_order() -> None:
    vague, telling = ["Error: ErrImagePull", "Error: ImagePullBackOff"], _events("image-pull")[1]["text"]
    for texts in ([*vague, telling], [telling, *vague]):
        assert "credentials" in match(texts)[0].what


def test_that_a_program_failed_is_told_only_when_nothing_else_is_known() -> None:
    failed = "Job entrypoint command failed with exit code 1, last available logs (truncated to 20,000 chars):\n"
    assert [cause.name for cause in match([failed + "ValueError: no"])] == ["program-failed"]
    assert [cause.name for cause in match([failed + "ModuleNotFoundError: No module named 'flights'"])] == ["module-missing"]


def test_a_difference_of_versions_is_recognised_in_the_words_of_the_guard_and_another_python_is_none() -> None:
    here, there = {"ray": "2.60.0", "python": "3.12.1"}, {"ray": "2.58.0", "python": "3.11.9"}
    said = {difference.name: difference.what for difference in versions.differences(here, there)}
    assert [cause.name for cause in match([said["ray"]])] == ["version-skew"]
    assert match([said["python"]]) == []


def test_a_step_s_own_account_comes_first_in_its_own_words() -> None:
    error = json.dumps({"what": "the disk is full", "where": "/data", "hint": "free some space"}, indent=1)
    causes = match(["exit code 1", error, "ModuleNotFoundError: No module named 'flights'"])
    assert [cause.name for cause in causes] == ["disk-full", "module-missing"]
    assert (causes[0].what, causes[0].hint, causes[0].evidence) == ("the disk is full", "free some space", "/data")
    unknown = match([json.dumps({"what": "no column 'late'", "where": "", "hint": ""})])
    assert [(cause.name, cause.what) for cause in unknown] == [("step-failed", "no column 'late'")]
    assert unknown[0].hint


def test_of_a_very_long_line_the_recognised_part_is_shown() -> None:
    (cause,) = match(["x" * 5000 + " Reason: OOMKilled " + "y" * 5000])
    assert "OOMKilled" in cause.evidence
    assert len(cause.evidence) < 400
