"""The trace that a train step writes where it is asked to."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts.errors import RequestError
from jobs.contracts.job import PROFILE
from jobs.steps.profiling import profiled
from jobs.steps.settings import Settings
from jobs.steps.train import train
from tests import factories
from tests.jobs.steps import training


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    factories.make_dataset(folder, rows=3000)
    return folder


def events(path: Path) -> list[dict[str, Any]]:
    return json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]  # type: ignore[no-any-return]


def test_a_profiled_training_writes_a_trace_says_where_and_learns_the_same(dataset: Path, tmp_path: Path) -> None:
    contexts = {wish: training.context(tmp_path / str(wish), dataset, params={"seed": 3, "batch": 128, "profile": wish}) for wish in (True, False)}
    for context in contexts.values():
        train(context)
    trace = contexts[True].folder / PROFILE
    names = {event.get("name", "") for event in events(trace)}
    assert any("AdamW" in name or "adamw" in name for name in names)
    assert any(name.startswith("ProfilerStep#") for name in names)
    assert training.messages(contexts[True])[-1] == f"where the time of a few steps went: {trace}, for ui.perfetto.dev"
    assert not (contexts[False].folder / PROFILE).exists()
    assert training.weights(contexts[True]) == training.weights(contexts[False])


@pytest.mark.parametrize(("steps", "traced"), [(2, 1), (5, 3), (10, 6), (50, 6)])
def test_a_short_epoch_shortens_the_warm_up(tmp_path: Path, steps: int, traced: int) -> None:
    calls: list[int] = []
    with profiled(tmp_path / "trace.json.gz", steps, lambda: calls.append(1)) as each:
        assert each
        for _ in range(steps):
            each()
    assert len(calls) == steps
    assert len({event["name"] for event in events(tmp_path / "trace.json.gz") if event.get("name", "").startswith("ProfilerStep#")}) == traced


def test_one_step_or_no_wish_leaves_the_loop_alone(tmp_path: Path) -> None:
    for path, steps in ((None, 50), (tmp_path / "trace.json.gz", 1)):
        with profiled(path, steps, None) as each:
            assert each is None
    assert not list(tmp_path.iterdir())


def test_profile_is_true_or_false(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="true nor false"):
        Settings.of(training.context(tmp_path, tmp_path, params={"profile": "yes"}))
