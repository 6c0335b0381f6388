"""When a version is taken back: on differences that matter, and never on chance."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.control.mlflow_client import open_client
from jobs.control.registry_reader import model_tags, resolve_alias
from jobs.control.rollout.moves import promote
from jobs.control.rollout.record import Limits, Mode, Rollout, history
from jobs.control.rollout.standing import StandingReader
from serve.rollout.coordinator import Coordinator
from serve.rollout.figures import BOUNDS, Figures
from serve.rollout.limits import broken
from serve.rollout.tally import Tally


def figures(requests: int, *, failing: float = 0, seconds: float = 0.004, scores: tuple[float, float] = (2, 5), seed: int = 0) -> Figures:
    random, found = np.random.default_rng(seed), Figures()
    failed = random.random(requests) < failing
    found.add(random.lognormal(np.log(seconds), 0.5, requests), failed, random.beta(*scores, int((~failed).sum())).astype(np.float32))
    return found


def test_equal_versions_stay_however_often_one_looks() -> None:
    """600 looks at 20 pairs of equal versions, from 200 to 6,000 requests: no limit is broken."""
    strict = Limits(errors=0.0, latency=1.0, scores=0.001)
    for seed in range(20):
        champion, trial = Figures(), Figures()
        for look in range(30):
            champion += figures(800, failing=0.05, seed=seed * 1_000 + look)
            trial += figures(200, failing=0.05, seed=seed * 1_000 + 500 + look)
            assert broken(strict, champion, trial) == ""


@pytest.mark.parametrize(
    ("worse", "told"),
    [({"failing": 0.2}, "requests failed"), ({"seconds": 0.02}, "took longer than"), ({"scores": (5, 2)}, "scores are distributed otherwise")],
)
def test_a_worse_version_is_found_within_a_few_hundred_requests(worse: dict[str, Any], told: str) -> None:
    assert told in broken(Limits(), figures(2_000, seed=1), figures(300, seed=2, **worse))


def test_nothing_is_judged_on_too_few_requests() -> None:
    assert broken(Limits(), figures(2_000), figures(199, failing=1.0)) == ""
    assert "failed" in broken(Limits(), figures(2_000), figures(200, failing=1.0))


def test_failures_that_clients_cause_on_both_sides_count_for_nobody() -> None:
    assert broken(Limits(), figures(5_000, failing=0.3, seed=1), figures(1_000, failing=0.3, seed=2)) == ""


def test_a_difference_that_nobody_notices_is_no_reason() -> None:
    assert broken(Limits(), figures(5_000, seconds=0.0003, seed=1), figures(5_000, seconds=0.0008, seed=2)) == ""


def test_scores_may_be_left_unjudged() -> None:
    assert broken(Limits(scores=None), figures(5_000), figures(5_000, scores=(5, 2))) == ""


def test_figures_add_up_and_travel() -> None:
    both = figures(300, failing=0.1, seed=1) + figures(200, seed=2)
    again = Figures.of(both.plain())
    assert again.brief() == both.brief()
    assert (again.requests, again.timed, again.rows + again.failed) == (500, 500, 500)
    values = np.sort(np.concatenate([np.random.default_rng(seed).random(0) for seed in (1, 2)] + [np.full(99, 0.002), np.full(1, 5.0)]))
    one = Figures()
    one.add(values, np.zeros(100, bool), np.empty(0, np.float32))
    assert one.quantile(0.5) == pytest.approx(0.002, rel=0.25)
    assert one.quantile(0.99) == pytest.approx(0.002, rel=0.25)
    assert (one.slower_than(1.0), one.slower_than(0.0019), one.slower_than(float(BOUNDS[-1]))) == (1, 1, 0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"
    open_client(uri)
    return uri


@pytest.fixture
def name(store: str, request: pytest.FixtureRequest) -> str:
    client, name = open_client(store), request.node.name
    client.create_registered_model(name)
    for number in range(3):
        client.create_model_version(name, f"file:/{number}")
    promote(store, name, "1")
    return name


def tally(store: str, name: str, **versions: Figures) -> dict[str, Any]:
    return Tally(StandingReader(store, name)().rollout, {key.removeprefix("v"): value for key, value in versions.items()}).plain()


def champion(store: str, name: str) -> str:
    found = resolve_alias(store, name, "champion")
    assert found is not None
    return found.version


def test_replicas_are_judged_together_and_a_failing_canary_is_taken_back(store: str, name: str) -> None:
    promote(store, name, "2", Mode.CANARY, percent=10)
    coordinator, record = Coordinator(store, name), StandingReader(store, name)
    for _ in range(3):  # the same totals again are not counted again
        assert coordinator.report("a", tally(store, name, v1=figures(900), v2=figures(120, failing=0.4)))["2"]["requests"] == 120
        assert record().rollout.mode == Mode.CANARY
    told = coordinator.report("b", tally(store, name, v1=figures(900), v2=figures(120, failing=0.4)))
    assert (told["1"]["requests"], told["2"]["requests"]) == (1_800, 240)
    assert (record().rollout.mode, champion(store, name)) == (Mode.FULL, "1")
    last = history(model_tags(store, name))[-1]
    assert (last.action, last.by) == ("rollback", "limits")
    assert last.reason.startswith("version 2: ")
    coordinator.report("a", tally(store, name))
    assert len(history(model_tags(store, name))) == 3


def test_a_version_in_full_is_compared_with_the_one_before(store: str, name: str) -> None:
    promote(store, name, "2", limits=Limits(scores=None))
    coordinator, after = Coordinator(store, name), StandingReader(store, name)().rollout
    slow = Tally(after, {"2": figures(400, seconds=0.1)}, before=figures(2_000))
    coordinator.report("a", slow.plain())
    assert champion(store, name) == "1"
    assert "took longer" in history(model_tags(store, name))[-1].reason


@pytest.mark.parametrize("late", [True, False])
def test_a_version_in_full_is_watched_only_for_a_while(store: str, name: str, late: bool) -> None:
    promote(store, name, "2", limits=Limits(watch=600))
    rollout = StandingReader(store, name)().rollout.model_copy(update={"started": time.time() - (601 if late else 0)})
    Coordinator(store, name).report("a", Tally(rollout, {"2": figures(400, failing=0.9)}, before=figures(2_000)).plain())
    assert champion(store, name) == ("2" if late else "1")


def test_a_person_who_was_faster_is_not_overruled(store: str, name: str) -> None:
    promote(store, name, "2", Mode.CANARY, percent=10)
    seen = tally(store, name, v1=figures(900), v2=figures(300, failing=0.9))
    promote(store, name, "3")
    Coordinator(store, name).report("a", seen)
    assert champion(store, name) == "3"


def test_a_registry_that_is_away_is_asked_again(store: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(store, name, "2", Mode.CANARY, percent=10)
    seen = tally(store, name, v1=figures(900), v2=figures(300, failing=0.9))
    coordinator = Coordinator("http://127.0.0.1:9", name)
    coordinator.report("a", seen)
    coordinator._uri = store
    coordinator.report("a", seen)
    assert StandingReader(store, name)().rollout.mode == Mode.CANARY  # not at every report
    monkeypatch.setattr("serve.rollout.coordinator._RETRY", 0)
    coordinator.report("a", seen)
    assert StandingReader(store, name)().rollout.mode == Mode.FULL


def test_before_grows_until_the_champion_changes() -> None:
    tally = Tally()
    tally.follow(Rollout(revision=1, champion="1"))
    tally.of("1").requests = 10
    tally.follow(Rollout(revision=2, champion="1", challenger="2", mode=Mode.CANARY, percent=5))
    tally.of("1").requests, tally.of("2").requests = 5, 3
    tally.follow(Rollout(revision=3, champion="2", previous="1"))
    assert (tally.before.requests, tally.versions) == (15, {})
    tally.of("2").requests = 7
    tally.follow(Rollout(revision=4, champion="2", challenger="1", mode=Mode.SHADOW))
    assert tally.before.requests == 7
