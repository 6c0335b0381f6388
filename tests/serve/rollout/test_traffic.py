"""Choosing versions, following the registry, and what is counted of the answers."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs.control.rollout.record import Mode
from serve.rollout import loading
from serve.rollout.answered import Batch, Waiting, batches
from serve.rollout.split import position
from serve.rollout.traffic import RolloutTraffic
from tests.serve.conftest import Published
from tests.serve.rollout.conftest import Answer, Registry, answers


def test_ids_that_count_up_are_spread_evenly() -> None:
    places = np.array([position(f"{number:08d}") for number in range(20_000)])
    counts = np.histogram(places, 100, (0, 100))[0]
    assert counts.sum() == 20_000
    assert ((counts - 200) ** 2 / 200).sum() < 160  # chi-square with 99 degrees of freedom: 1 in 10,000


def test_a_canary_answers_its_share_and_keeps_its_requests(traffic: RolloutTraffic, registry: Registry) -> None:
    chosen = {}
    for revision, percent in enumerate((0.5, 10, 50, 100), start=1):
        registry.put(1, 2, Mode.CANARY, percent=percent, revision=revision)
        traffic.refresh()
        chosen[percent] = {number for number in range(10_000) if traffic.choose(f"id-{number}").version == "2"}  # type: ignore[union-attr]
    assert [round(len(found) / 100) for found in chosen.values()] == pytest.approx([0.5, 10, 50, 100], abs=1)
    assert chosen[0.5] < chosen[10] < chosen[50] < chosen[100]


def test_nobody_answers_before_there_is_a_champion(traffic: RolloutTraffic, registry: Registry) -> None:
    traffic.refresh()
    assert (traffic.live, traffic.choose("a"), traffic.by_version("1")) == (None, None, None)
    assert traffic.state()["versions"] == []


def test_a_shadow_answers_nobody(traffic: RolloutTraffic, registry: Registry) -> None:
    registry.put(1, 2, Mode.SHADOW)
    traffic.refresh()
    assert {traffic.choose(str(number)).version for number in range(1_000)} == {"1"}  # type: ignore[union-attr]


def test_full_promotion_and_rollback_swap_what_is_loaded_already(traffic: RolloutTraffic, registry: Registry) -> None:
    registry.put(1, 2, Mode.CANARY, percent=5)
    traffic.refresh()
    first, second = traffic.by_version("1"), traffic.by_version("2")
    registry.put(2, previous=1, revision=2)
    traffic.refresh()
    assert traffic.live is second
    assert traffic.by_version("1") is first
    registry.put(1, revision=3)
    traffic.refresh()
    assert (traffic.live is first, traffic.by_version("2")) == (True, None)


def test_a_challenger_that_does_not_load_leaves_all_to_the_champion(traffic: RolloutTraffic, registry: Registry, published: Published, tmp_path: Path) -> None:
    registry.put(1, 2, Mode.CANARY, percent=100)
    missing = replace(published.version(2), uri=str(tmp_path / "late"))
    registry.standing = replace(registry.standing, challenger=missing)  # type: ignore[type-var]
    traffic.refresh()
    assert traffic.choose("a").version == "1"  # type: ignore[union-attr]
    assert traffic.state()["problem"].startswith("version 2 does not load: ")
    shutil.copytree(published.uri(2), tmp_path / "late")
    traffic.refresh()
    assert traffic.choose("a").version == "1"  # type: ignore[union-attr]  # not at every poll
    loading.RETRY_SECONDS, kept = 0.0, loading.RETRY_SECONDS
    try:
        traffic.refresh()
    finally:
        loading.RETRY_SECONDS = kept
    assert (traffic.choose("a").version, traffic.problem) == ("2", "")  # type: ignore[union-attr]


def test_a_registry_that_is_away_or_empty_changes_nothing(traffic: RolloutTraffic, registry: Registry) -> None:
    registry.put(1, 2, Mode.CANARY, percent=50)
    traffic.refresh()
    before = traffic.split
    registry.standing = OSError("no route")
    traffic.refresh()
    assert (traffic.split, traffic.problem) == (before, "cannot read the registry: no route")
    registry.put(0)
    traffic.refresh()
    assert (traffic.split, traffic.problem) == (before, "")


def test_answers_are_counted_by_version(traffic: RolloutTraffic, registry: Registry) -> None:
    registry.put(1, 2, Mode.CANARY, percent=30)
    traffic.refresh()
    for answer in answers(traffic.choose, 400):
        traffic.after(answer)
    champion = traffic.live
    assert champion is not None
    traffic.after(Answer("bad", champion, status=400))
    traffic.look()
    first, second = traffic.state()["versions"]
    assert (first["role"], second["role"]) == ("champion", "canary")
    assert first["requests"] + second["requests"] == 401
    assert 80 < second["requests"] < 160
    assert (first["failed"], second["failed"]) == (1, 0)
    assert first["p50_ms"] == pytest.approx(1, rel=0.3)
    assert 0 < first["mean_score"] < 1


def test_a_new_step_begins_new_figures(traffic: RolloutTraffic, registry: Registry) -> None:
    registry.put(1, 2, Mode.CANARY, percent=30)
    traffic.refresh()
    for answer in answers(traffic.choose, 50):
        traffic.after(answer)
    traffic.look()
    registry.put(1, 2, Mode.CANARY, percent=60, revision=2)
    traffic.refresh()
    traffic.look()
    assert all("requests" not in version for version in traffic.state()["versions"])


class Seen:
    def __init__(self) -> None:
        self.batches: list[tuple[Batch, str]] = []

    def see(self, batch: Batch, role: str) -> None:
        self.batches.append((batch, role))

    def tick(self) -> None:
        pass

    def close(self) -> None:
        self.batches.append(None)  # type: ignore[arg-type]

    def state(self) -> dict[str, Any]:
        return {}


def test_a_shadow_scores_a_copy(registry: Registry) -> None:
    seen = Seen()
    traffic = RolloutTraffic("parcels", registry, watchers=[seen])
    registry.put(1, 2, Mode.SHADOW)
    traffic.refresh()
    given = answers(traffic.choose, 60)
    for answer in given:
        traffic.after(answer)
    traffic.look()
    (own, first), (copy, second) = seen.batches
    assert (first, second, own.model.version, copy.model.version) == ("champion", "shadow", "1", "2")
    challenger = traffic.by_version("2")
    assert challenger is not None
    expected = [challenger.scorer.score(pa.table({**answer.columns, "size": pa.array(answer.columns["size"], pa.float64())}))[0] for answer in given]
    assert copy.probabilities == pytest.approx(np.array(expected), abs=1e-6)
    assert copy.ids == own.ids == [answer.request_id for answer in given]
    shown = {version["version"]: version for version in traffic.state()["versions"]}
    assert (shown["2"]["requests"], shown["2"]["role"]) == (60, "shadow")


def test_a_shadow_that_cannot_score_counts_as_failing_and_hurts_nobody(traffic: RolloutTraffic, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.put(1, 2, Mode.SHADOW)
    traffic.refresh()
    given = answers(traffic.choose, 20)
    for answer in given:
        traffic.after(replace(answer, columns={name: value for name, value in answer.columns.items() if name != "size"} | {"size": [None]}))
    monkeypatch.setattr(type(traffic.by_version("2").scorer), "score_tensors", lambda *_: (_ for _ in ()).throw(RuntimeError("wants more")))  # type: ignore[union-attr]
    traffic.look()
    shown = {version["version"]: version for version in traffic.state()["versions"]}
    assert (shown["1"]["failed"], shown["2"]["failed"], shown["2"]["requests"]) == (0, 20, 20)
    assert "wants more" in traffic.state()["problem"]


def test_a_watcher_that_breaks_stops_nothing(registry: Registry) -> None:
    class Broken(Seen):
        def see(self, batch: Batch, role: str) -> None:
            raise RuntimeError("disk")

    seen = Seen()
    traffic = RolloutTraffic("parcels", registry, watchers=[Broken(), seen])
    registry.put(1)
    traffic.refresh()
    traffic.after(answers(traffic.choose, 1)[0])
    traffic.look()
    assert len(seen.batches) == 1


def test_threads_follow_look_and_end(registry: Registry) -> None:
    others, seen = set(threading.enumerate()), Seen()
    traffic = RolloutTraffic("parcels", registry, watchers=[seen], poll_seconds=0.01)
    registry.put(1)
    traffic.start()
    wait(lambda: traffic.live is not None)
    traffic.after(answers(traffic.choose, 1)[0])
    wait(lambda: len(seen.batches) == 1)
    traffic.after(answers(traffic.choose, 1)[0])
    traffic.stop()
    assert (len(seen.batches), seen.batches[-1]) == (3, None)  # what waited was looked at, then the watcher was closed
    assert not {thread.name for thread in set(threading.enumerate()) - others} & {"model-slot", "answer-looker"}


def test_a_full_queue_drops_and_counts(published: Published, registry: Registry) -> None:
    registry.put(1)
    traffic = RolloutTraffic("parcels", registry)
    traffic.refresh()
    waiting, one = Waiting(rows=10), answers(traffic.choose, 1)[0]
    for _ in range(8):
        waiting.put(one)
    assert (len(waiting.take()), waiting.dropped) == (5, 3)  # each counts as its rows and one
    waiting.put(one)
    assert len(waiting.take()) == 1


def test_putting_an_answer_takes_microseconds(traffic: RolloutTraffic, registry: Registry) -> None:
    registry.put(1)
    traffic.refresh()
    one = answers(traffic.choose, 1)[0]
    started = time.perf_counter()
    for _ in range(20_000):
        traffic.after(one)
    assert (time.perf_counter() - started) / 20_000 < 20e-6


@pytest.mark.parametrize("plain", [False, True])
def test_a_batch_holds_every_row_in_order(traffic: RolloutTraffic, registry: Registry, plain: bool) -> None:
    registry.put(1)
    traffic.refresh()
    model = traffic.live
    assert model is not None
    first = {"color": ["red", None], "size": [1.0, None], "weight": [None, 2.0]}
    second = {"color": ["blue"], "size": [3.0], "weight": [4.0]}
    made = [
        Answer(name, model, columns if plain else {key: pa.array(values, "string" if key == "color" else "double") for key, values in columns.items()}, scores)
        for name, columns, scores in (("a", first, np.float32([0.1, 0.2])), ("b", second, np.float32([0.3])))
    ]
    (batch,) = batches([*made, Answer("c", model, status=400)])
    assert {name: column.to_pylist() for name, column in batch.columns.items()} == {
        "color": ["red", None, "blue"],
        "size": [1.0, None, 3.0],
        "weight": [None, 2.0, 4.0],
    }
    assert (batch.ids, batch.positions.tolist(), batch.failed.tolist()) == (["a", "a", "b"], [0, 1, 0], [False, False, True])
    sample = batch.sample(2)
    assert (sample.rows, sample.ids, sample.columns["size"].to_pylist(), len(sample.failed)) == (2, ["a", "b"], [1.0, 3.0], 3)


def wait(condition: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)
