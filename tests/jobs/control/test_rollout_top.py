"""``serve top``: rates from two looks, summed over replicas; and the commands that move versions."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from jobs.control.cli import models
from jobs.control.cli import serve as serving
from jobs.control.home import Home
from jobs.control.mlflow_client import open_client
from jobs.control.rollout.top import ASKS, Top


def state(replica: str, requests: int, *, failed: int = 0, revision: int = 1, fast: int = 0, slow: int = 0) -> dict[str, Any]:
    version = {"version": "1", "role": "champion", "requests": requests, "failed": failed, "rows": 10, "mean_score": 0.25}
    version["latencies"] = [[0.001, fast], [0.5, slow]]
    return {"replica": replica, "rollout": {"revision": revision}, "versions": [version], "drift": [], "problem": "", "unseen": 0}


def frames(*looks: list[dict[str, Any]], pause: float = 2.0) -> list[Any]:
    """One frame for each look; its states are asked for in turn."""
    answers = itertools.chain.from_iterable(itertools.islice(itertools.cycle(look), ASKS) for look in looks)
    times = iter([100.0 + pause * number for number in range(len(looks))])
    top = Top(lambda: next(answers), clock=lambda: next(times))
    return [top.frame() for _ in looks]


def test_rates_are_differences_over_all_replicas() -> None:
    first = [state("a", 100, fast=100), state("b", 50, fast=50)]
    second = [state("a", 300, failed=4, fast=295, slow=5), state("b", 70, fast=70)]
    (line,) = frames(first, second)[1].lines
    assert (line.requests, line.failed, line.mean_score) == (110, 2, 0.25)
    assert (line.p50, line.p99) == (1, 500)  # 5 of 220 in the interval were slow


def test_a_step_in_between_begins_anew() -> None:
    (line,) = frames([state("a", 1_000, fast=1_000)], [state("a", 40, revision=2, fast=40)])[1].lines
    assert (line.requests, line.p99) == (20, 1)


def test_the_first_look_and_a_service_that_is_away_show_nothing_wrong() -> None:
    found = frames([state("a", 100)], [{}])
    assert (found[0].lines[0].requests, found[1].replicas) == (0, 1)
    assert frames([state("a", 100)], [{}], pause=11)[1].replicas == 0


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SEATRIAL_HOME", str(tmp_path / "home"))
    home = Home.find()
    home.create()
    client = open_client(home.tracking_uri)
    client.create_registered_model("m")
    for _ in range(2):
        client.create_model_version("m", "file:/x")
    return home


def test_versions_are_moved_from_the_command_line(home: Home) -> None:
    run = CliRunner()
    assert "version 1 answers" in run.invoke(models.command, ["promote", "m", "1"]).output
    asked = ["promote", "m", "2", "--canary", "12.5", "--max-errors", "5", "--max-shift", "0.4", "--min-requests", "50", "--reason", "try"]
    told = json.loads(run.invoke(models.command, [*asked, "--output", "json"]).output)
    assert (told["mode"], told["percent"], told["challenger"], told["followed"], told["reason"]) == ("canary", 12.5, "2", None, "try")
    assert told["limits"] == {"requests": 50, "errors": 0.05, "latency": 2.0, "scores": 0.4, "watch": 600.0}
    output = run.invoke(models.command, ["rollback", "m"]).output
    assert output == "m: version 1 answers\nno service of this model is up here\n"
    listed = json.loads(run.invoke(models.command, ["list", "--output", "json"]).output)
    assert {each["version"]: tuple(each["aliases"]) for each in listed} == {"1": ("champion",), "2": ("challenger",)}


@pytest.mark.parametrize(
    ("asked", "message"),
    [(["--shadow", "--canary", "5"], "choose one of"), (["--canary", "0"], "not in the range"), (["--canary", "101"], "not in the range")],
)
def test_a_wrong_wish_is_refused(home: Home, asked: list[str], message: str) -> None:
    answer = CliRunner().invoke(models.command, ["promote", "m", "1", *asked])
    assert (answer.exit_code, message in answer.output) == (2, True)


def test_without_a_service_there_is_no_status_and_no_top(home: Home) -> None:
    assert json.loads(CliRunner().invoke(serving.command, ["status", "--output", "json"]).output) == {"up": False}
    assert "no service is up here" in str(CliRunner().invoke(serving.command, ["top", "--once"]).exception)
