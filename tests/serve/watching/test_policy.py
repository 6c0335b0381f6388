"""The policy file and what it decides; the whole loop is run by tests/e2e/test_change.py."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts.bundle import Interval
from jobs.contracts.errors import SpecError
from jobs.control.home import Home
from jobs.control.mlflow_client import open_client
from jobs.control.rollout.moves import promote
from serve.model import LoadedModel
from serve.watching import policy
from serve.watching.policy import DriftRule, Policy, QualityRule, Seen, decide
from serve.watching.prediction_log import PredictionLog
from serve.watching.quality import Quality
from serve.watching.rows import model_folder
from serve.watching.settings import LogSettings
from serve.watching.watch import Watch
from tests.serve.conftest import Published
from tests.serve.watching.conftest import batch

DAY = 86_400


def live(value: float, *, labelled: int = 500) -> Quality:
    return Quality("1", False, 1_000, labelled, 100, {"roc_auc": Interval(value=value, low=value - 0.02, high=value + 0.02)})


def rules(**blocks: Any) -> Policy:
    return Policy(model="m", pipeline=Path("p.yaml"), **blocks)


@pytest.mark.parametrize(
    ("blocks", "seen", "reason"),
    [
        ({}, Seen(rows=10_000, drifted=("x", "y"), age=1e9, quality=live(0.1), reference=0.9), ""),
        ({"drift": DriftRule(rows=500)}, Seen(rows=500, drifted=("x",)), "drift of x on 500 rows"),
        ({"drift": DriftRule(rows=500)}, Seen(rows=499, drifted=("x",)), ""),
        ({"drift": DriftRule(columns=2)}, Seen(rows=5_000, drifted=("x",)), ""),
        ({"age": "30d"}, Seen(age=30 * DAY), ""),
        ({"age": "30d"}, Seen(age=31 * DAY), "31.0 days old"),
        ({"quality": QualityRule()}, Seen(quality=live(0.80), reference=0.90), "live roc_auc is 0.800, 0.900 in validation"),
        ({"quality": QualityRule()}, Seen(quality=live(0.84), reference=0.90), ""),  # the interval reaches 0.86, and 0.85 is allowed
        ({"quality": QualityRule()}, Seen(quality=live(0.5, labelled=199), reference=0.90), ""),
        ({"quality": QualityRule()}, Seen(), ""),
    ],
)
def test_what_is_a_reason_to_train(blocks: Mapping[str, Any], seen: Seen, reason: str) -> None:
    found = decide(rules(**blocks), seen)
    assert reason in found
    assert bool(found) is bool(reason)


def test_a_metric_that_should_be_low_is_worse_when_it_is_high() -> None:
    found = Quality("1", False, 900, 900, 300, {"brier": Interval(value=0.30, low=0.28, high=0.32)})
    rule = rules(quality=QualityRule(metric="brier", drop=0.05))
    assert "live brier" in decide(rule, Seen(quality=found, reference=0.2))
    assert decide(rule, Seen(quality=found, reference=0.25)) == ""


def test_the_file_is_read_relative_to_itself(tmp_path: Path) -> None:
    (tmp_path / "retrain.yaml").write_text("model: m\npipeline: jobs/p.yaml\ndrift: {}\nage: 30d\n")
    found = policy.load(tmp_path / "retrain.yaml")
    assert (found.pipeline, found.drift, found.age) == (tmp_path / "jobs" / "p.yaml", DriftRule(), "30d")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "model: Field required"),
        ("model: m\npipeline: p\ndrfit: {}\n", "drfit"),
        ("model: m\npipeline: p\nevery: soon\n", "every: .*positive time"),
        ("model: m\npipeline: p\ndrift: {rows: 0}\n", r"drift\.rows"),
        ("model: m\npipeline: p\nquality: {metric: accuracy}\n", r"quality\.metric"),
        ("model: [\n", "not YAML"),
        ("- 1\n", "the file"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "retrain.yaml").write_text(text)
    with pytest.raises(SpecError, match=message):
        policy.load(tmp_path / "retrain.yaml")


@pytest.fixture
def home(tmp_path: Path, published: Published) -> Home:
    """A registry with one champion of the parcel workload."""
    home = Home(tmp_path / "home")
    home.create()
    client = open_client(home.tracking_uri)
    client.create_registered_model("parcels")
    client.create_model_version("parcels", published.uri(1), tags={"seatrial.bundle": published.bundles[0].fingerprint})
    promote(home.tracking_uri, "parcels", "1")
    return home


def watch(home: Home, told: list[str], **blocks: Any) -> Watch:
    rule = Policy(model="parcels", pipeline=home.root / "no-such-pipeline.yaml", **({"drift": DriftRule(rows=300)} | blocks))
    return Watch(rule, home, model_folder(home.root / "predictions", "parcels"), told.append)


def log(home: Home, given: Any) -> None:
    writer = PredictionLog(LogSettings(folder=str(home.root / "predictions")), "parcels", "a")
    writer.see(given, "champion")
    writer.close()


def test_quiet_traffic_and_none_at_all_are_no_reason(home: Home, model: LoadedModel) -> None:
    told: list[str] = []
    assert watch(home, told).once() is None
    log(home, batch(model, 400))
    assert watch(home, told).once() is None
    assert told == ["parcels version 1: 0 rows; no reason to train", "parcels version 1: 400 rows; no reason to train"]


def test_an_alarm_is_recorded_a_failed_run_too_and_the_cooldown_holds(home: Home, model: LoadedModel) -> None:
    told: list[str] = []
    log(home, batch(model, 400, shift=20))
    event = watch(home, told).once()
    assert event is not None
    assert (event.kind, "no-such-pipeline.yaml" in event.text) == ("failed", True)
    events = list(watch(home, told).events())
    assert [each.kind for each in events] == ["alarm", "failed"]
    assert "drift of" in events[0].text
    assert "size" in events[0].text
    assert watch(home, told).once() is None  # of a new watcher too
    assert told[-1].startswith("not before 21")
    record = home.root / "watch" / "parcels.jsonl"
    record.write_text(json.dumps(events[0].__dict__ | {"time": time.time() - 7 * 3_600}) + '\n{"time": 1, "ki')
    assert watch(home, told).once() is not None


def test_what_an_older_champion_answered_is_past(home: Home, model: LoadedModel, published: Published) -> None:
    log(home, batch(model, 400, shift=20))
    client = open_client(home.tracking_uri)
    client.create_model_version("parcels", published.uri(2), tags={"seatrial.bundle": published.bundles[1].fingerprint})
    promote(home.tracking_uri, "parcels", "2")
    assert watch(home, []).once() is None


def test_without_a_champion_there_is_nothing_to_watch(tmp_path: Path) -> None:
    home = Home(tmp_path / "empty")
    told: list[str] = []
    assert watch(home, told).once() is None
    assert told == ["parcels has no champion yet"]
