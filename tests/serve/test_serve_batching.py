"""Batches: every request gets its own rows' answers, batches grow with the load, and one bad request spoils no other."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve import batching
from serve.asgi import Application
from serve.batching import MOST_ROWS, Batcher, pays
from serve.model import LoadedModel
from tests.serve.conftest import ROW, Alias, Published, application, call
from tests.serve.test_serve_metrics import scrape, value

SIZES = [float(number) for number in range(40)]


@pytest.fixture
def model(published: Published) -> LoadedModel:
    return LoadedModel(published.version(1))


def run(model: LoadedModel, sizes: list[list[float]]) -> tuple[list[Any], list[int]]:
    """All at once: requests of these sizes; their answers and the rows of each batch."""
    seen: list[int] = []

    async def all_at_once() -> list[Any]:
        batcher = Batcher(model, seen.append)
        return await asyncio.gather(*(batcher.score(model.of_rows([("red", each, 1.0) for each in request])) for request in sizes))

    return asyncio.run(all_at_once()), seen


def test_requests_that_come_together_are_scored_together(model: LoadedModel) -> None:
    answers, batches = run(model, [[size] for size in SIZES])
    assert batches == [40]
    assert [float(answer[0]) for answer in answers] == pytest.approx([float(model.score(model.of_rows([("red", size, 1.0)]))[0]) for size in SIZES])


def test_batches_are_bounded_and_a_large_request_goes_alone(model: LoadedModel) -> None:
    answers, batches = run(model, [SIZES * 10, SIZES * 5, [], SIZES * 20, [1.0]])
    assert [len(answer) for answer in answers] == [400, 200, 0, 800, 1]
    assert batches == [400, 200, 800, 1]
    assert MOST_ROWS == 512


def test_one_after_the_other_waits_for_nobody(model: LoadedModel) -> None:
    seen: list[int] = []

    async def in_turn() -> None:
        batcher = Batcher(model, seen.append)
        for size in SIZES[:5]:
            await batcher.score(model.of_rows([("red", size, 1.0)]))

    asyncio.run(in_turn())
    assert seen == [1] * 5


def test_an_error_reaches_all_of_its_batch_and_the_next_batch_works(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken_then_whole() -> list[Any]:
        batcher = Batcher(model, lambda rows: None)
        rows = model.of_rows([("red", 1.0, 1.0)])
        with monkeypatch.context() as broken:
            broken.setattr(model.scorer, "score_tensors", lambda *tensors: 1 / 0)
            failed = await asyncio.gather(batcher.score(rows), batcher.score(rows), return_exceptions=True)
        return [*failed, await batcher.score(rows)]

    first, second, third = asyncio.run(broken_then_whole())
    assert (type(first), type(second), len(third)) == (ZeroDivisionError, ZeroDivisionError, 1)


def test_a_client_that_went_away_takes_nobody_along(model: LoadedModel) -> None:
    async def one_leaves() -> Any:
        batcher = Batcher(model, lambda rows: None)
        tasks = [asyncio.create_task(batcher.score(model.of_rows([("red", size, 1.0)]))) for size in (1.0, 2.0)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        return await tasks[1]

    assert np.isfinite(asyncio.run(one_leaves())).all()


@pytest.mark.parametrize(("chosen", "alone", "expected"), [("auto", 1e-3, True), ("auto", 5e-5, False), ("on", 5e-5, True), ("off", 1e-3, False)])
def test_it_is_used_where_it_pays(model: LoadedModel, monkeypatch: pytest.MonkeyPatch, chosen: str, alone: float, expected: bool) -> None:
    monkeypatch.setenv(batching.VARIABLE, chosen)
    model.row_seconds, model.batched_row_seconds = alone, 1e-5
    assert pays(model) is expected


def test_the_application_answers_the_same_in_batches(app: Application, published: Published, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(batching.VARIABLE, "on")
    batched = application(Alias(published.version(1)))
    batched.slot.refresh()
    for body in (ROW, [ROW] * 5, [], {"color": 3}):
        assert call(batched, "POST", "/predict", body).body == call(app, "POST", "/predict", body).body
    assert value(scrape(batched), "seatrial_batch_rows_count") == 2
