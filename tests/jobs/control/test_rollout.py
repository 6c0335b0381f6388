"""The steps of a rollout on real MLflow stores; what they write is held against MLflow's own client."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.contracts.errors import RequestError
from jobs.control.mlflow_client import open_client
from jobs.control.registry_reader import model_tags, read_model, read_version, resolve_alias
from jobs.control.registry_writer import Outdated, change
from jobs.control.rollout.moves import LIMITS, promote, rollback
from jobs.control.rollout.record import KEPT, TAG, Limits, Mode, Rollout, history, parse, settled
from jobs.control.rollout.standing import StandingReader
from tests.mlflow_server import MlflowServer


@pytest.fixture(scope="module", params=["sqlite", "server"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "server":
        server: MlflowServer = request.getfixturevalue("mlflow_server")
        return server.address
    return f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"


@pytest.fixture
def model(store: str, request: pytest.FixtureRequest) -> tuple[str, str, Any]:
    """(store, a model of its own with three versions, MLflow's client)"""
    client, name = open_client(store), request.node.originalname + "-model"
    client.create_registered_model(name)
    for number in range(3):
        client.create_model_version(name, f"s3://bucket/{number}", tags={"seatrial.bundle": str(number)})
    return store, name, client


def test_a_trial_from_shadow_to_full_and_back(model: tuple[str, str, Any]) -> None:
    uri, name, client = model
    standing = StandingReader(uri, name)
    assert (standing().champion, standing().rollout) == (None, Rollout())
    promote(uri, name, "1")
    promote(uri, name, "2", Mode.SHADOW, reason="first look")
    now = standing()
    assert (now.champion.version, now.challenger.version, now.previous) == ("1", "2", None)  # type: ignore[union-attr]
    assert str(client.get_model_version_by_alias(name, "challenger").version) == "2"
    promote(uri, name, "2", Mode.CANARY, percent=10, limits=Limits(errors=0.5))
    assert (standing().rollout.mode, standing().rollout.percent, standing().rollout.limits.errors) == ("canary", 10, 0.5)
    promote(uri, name, "2")
    now = standing()
    assert (now.champion.version, now.challenger, now.previous.version) == ("2", None, "1")  # type: ignore[union-attr]
    assert str(client.get_model_version_by_alias(name, "champion").version) == "2"
    rollback(uri, name, by=LIMITS, reason="too slow")
    now = standing()
    assert (now.champion.version, now.previous) == ("1", None)  # type: ignore[union-attr]
    with pytest.raises(RequestError, match="no earlier champion"):
        rollback(uri, name)
    steps = history(model_tags(uri, name))
    assert [(step.revision, step.action, step.mode, step.champion, step.by) for step in steps] == [
        (1, "promote", "full", "1", "you"),
        (2, "promote", "shadow", "1", "you"),
        (3, "promote", "canary", "1", "you"),
        (4, "promote", "full", "2", "you"),
        (5, "rollback", "full", "1", "limits"),
    ]
    assert steps[1].reason == "first look"
    assert all(abs(step.started - time.time()) < 60 for step in steps)
    theirs = client.get_registered_model(name)
    assert theirs.tags == model_tags(uri, name)
    assert {alias: str(version) for alias, version in theirs.aliases.items()} == read_model(uri, name).aliases  # type: ignore[union-attr]


def test_rolling_back_a_trial_leaves_the_champion(model: tuple[str, str, Any]) -> None:
    uri, name, _ = model
    promote(uri, name, "1")
    promote(uri, name, "2")
    promote(uri, name, "3", Mode.CANARY, percent=50)
    rollback(uri, name)
    now = StandingReader(uri, name)()
    assert (now.champion.version, now.challenger, now.previous.version) == ("2", None, "1")  # type: ignore[union-attr]


def test_what_cannot_be_done_is_said(model: tuple[str, str, Any]) -> None:
    uri, name, _ = model
    for arguments, message in [
        ((uri, "nobody", "1"), "no model 'nobody'"),
        ((uri, name, "9"), "no version 9"),
        ((uri, name, "1", Mode.SHADOW), "no champion to compare with"),
    ]:
        with pytest.raises(RequestError, match=message):
            promote(*arguments)  # type: ignore[arg-type]
    promote(uri, name, "1")
    with pytest.raises(RequestError, match="the champion already"):
        promote(uri, name, "1")
    with pytest.raises(RequestError, match="against itself"):
        promote(uri, name, "1", Mode.CANARY, percent=5)
    assert len(history(model_tags(uri, name))) == 1


def test_a_rollback_of_a_step_that_is_past_does_nothing(model: tuple[str, str, Any]) -> None:
    uri, name, _ = model
    promote(uri, name, "1")
    judged = promote(uri, name, "2", Mode.CANARY, percent=5)
    promote(uri, name, "2")
    with pytest.raises(Outdated):
        rollback(uri, name, by=LIMITS, revision=judged.revision)
    with pytest.raises(Outdated):
        change(uri, name, tags={}, aliases={"champion": "1"}, expect=(TAG, judged.text()))
    assert resolve_alias(uri, name, "champion").version == "2"  # type: ignore[union-attr]


def test_an_alias_moved_by_another_tool_ends_the_trial(model: tuple[str, str, Any]) -> None:
    uri, name, client = model
    promote(uri, name, "1")
    promote(uri, name, "2", Mode.CANARY, percent=20)
    client.set_registered_model_alias(name, "champion", "3")
    now = StandingReader(uri, name)()
    assert (now.champion.version, now.challenger, now.previous.version) == ("3", None, "1")  # type: ignore[union-attr]
    assert now.rollout.by == "another tool"
    rollback(uri, name)
    assert resolve_alias(uri, name, "champion").version == "1"  # type: ignore[union-attr]


def test_a_service_of_another_alias_tries_nothing(model: tuple[str, str, Any]) -> None:
    uri, name, _ = model
    promote(uri, name, "1")
    promote(uri, name, "2", Mode.CANARY, percent=20)
    now = StandingReader(uri, name, "challenger")()
    assert (now.champion.version, now.challenger, now.rollout.mode) == ("2", None, "full")  # type: ignore[union-attr]


def test_a_version_that_was_deleted_is_no_version(model: tuple[str, str, Any]) -> None:
    uri, name, client = model
    client.delete_model_version(name, "3")
    assert read_version(uri, name, "3") is None
    with pytest.raises(RequestError, match="no version 3"):
        promote(uri, name, "3")


def test_of_two_steps_at_once_one_is_taken(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = open_client(uri)
    client.create_registered_model("m")
    for _ in range(2):
        client.create_model_version("m", "file:/x")
    promote(uri, "m", "1")
    before, outcomes = model_tags(uri, "m")[TAG], []

    def step(version: str) -> None:
        try:
            change(uri, "m", tags={TAG: version}, aliases={"champion": version}, expect=(TAG, before))
            outcomes.append(version)
        except Outdated:
            pass

    threads = [threading.Thread(target=step, args=("12"[number % 2],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert resolve_alias(uri, "m", "champion").version == outcomes[0] == model_tags(uri, "m")[TAG]  # type: ignore[union-attr]


def test_the_history_is_bounded(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = open_client(uri)
    client.create_registered_model("m")
    for _ in range(2):
        client.create_model_version("m", "file:/x")
    for number in range(KEPT + 10):
        promote(uri, "m", "12"[number % 2])
    steps = history(model_tags(uri, "m"))
    assert (len(steps), steps[-1].revision) == (KEPT, KEPT + 10)


@given(reason=st.text(max_size=5000), percent=st.floats(0, 100), versions=st.lists(st.sampled_from(["", "1", "2"]), min_size=3, max_size=3))
def test_a_record_survives_being_written(reason: str, percent: float, versions: list[str]) -> None:
    record = Rollout(revision=3, mode=Mode.CANARY, champion=versions[0], challenger=versions[1], previous=versions[2], percent=percent, reason=reason)
    assert len(record.text()) < 5_000
    assert parse({TAG: record.text()}) == record.model_copy(update={"reason": reason[:300]})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"mode": "sideways"}', '{"percent": 120}'])
def test_a_record_that_is_not_understood_counts_as_none(text: str) -> None:
    assert settled(parse({TAG: text}), "4") == settled(Rollout(), "4")
    assert settled(parse({TAG: text}), "4").champion == "4"
