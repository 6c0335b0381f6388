"""Batches computed in pieces, and gradients that are shortened: in one process, and in two that exchange gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from jobs.contracts.errors import RequestError
from jobs.contracts.workload import Model
from jobs.steps import training_loop
from jobs.steps.device import place
from jobs.steps.loader import Rows
from jobs.steps.objectives import objective_of
from jobs.steps.settings import Settings
from jobs.steps.training_loop import Rates
from tests import factories
from tests.jobs.steps import gloo, training

CPU = place(0, cuda=False, bfloat16=False)
REGRESSION = objective_of(Model("m", torch.nn.Identity(), (), (), {}, task="regression"))
STEADY = {"seed": 3, "batch": 128, "dropout": 0.0, "epochs": 2}  # dropout would draw other numbers for pieces than for the whole
ROUNDING = 2e-5  # of float32, over some 60 steps


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    factories.make_dataset(folder, rows=6000)
    return folder


@pytest.fixture(scope="module")
def whole(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """Weights of one process that computes every batch as a whole."""
    return gloo.trained(training.context(tmp_path_factory.mktemp("whole"), dataset, params=STEADY))


def test_pieces_give_what_the_whole_batch_gives(dataset: Path, whole: dict[str, torch.Tensor], tmp_path: Path) -> None:
    pieces = gloo.trained(training.context(tmp_path / "pieces", dataset, params=STEADY | {"accumulate": 4}))
    other = gloo.trained(training.context(tmp_path / "other", dataset, params=STEADY | {"batch": 32}))
    assert gloo.gap(pieces, whole) < ROUNDING
    assert gloo.gap(other, whole) > 100 * ROUNDING, "smaller batches are another training: the comparison can tell"


def test_pieces_on_two_workers_give_what_their_whole_batches_give(dataset: Path, tmp_path: Path) -> None:
    of = {
        pieces: gloo.trained(training.context(tmp_path / str(pieces), dataset, params=STEADY | {"accumulate": pieces}, resources={"workers": 2}), world=2)
        for pieces in (1, 4)
    }
    assert gloo.gap(of[4], of[1]) < ROUNDING


def test_defaults_are_spelled_out_without_a_change(dataset: Path, whole: dict[str, torch.Tensor], tmp_path: Path) -> None:
    same = gloo.trained(training.context(tmp_path, dataset, params=STEADY | {"accumulate": 1, "clip": 0}))
    assert gloo.gap(same, whole) == 0


class _Line(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(0.0))

    def forward(self, categorical: torch.Tensor, numeric: torch.Tensor) -> torch.Tensor:
        return self.slope * numeric[:, 0]


def _one_step(**options: Any) -> tuple[float, float]:
    """(loss, slope) after one step of plain descent with rate 0.04 on y = 3x at x = 1, 2, 3, 4, 5: the gradient is -66."""
    module, x = _Line(), torch.arange(1.0, 6.0)
    rows = Rows(torch.zeros(5, 0, dtype=torch.int32), x[:, None], 3 * x)
    loss = training_loop.run_epoch(module, torch.optim.SGD(module.parameters(), lr=1.0), [rows], Rates(1.0, 1), CPU, REGRESSION, **options)
    return loss, module.slope.item()


@pytest.mark.parametrize("pieces", [1, 2, 3, 5, 7])
def test_a_batch_that_cannot_be_cut_evenly_weighs_every_row_the_same(pieces: int) -> None:
    assert _one_step(accumulate=pieces) == (pytest.approx(99.0), pytest.approx(0.04 * 66))


def test_a_long_gradient_is_shortened_and_a_short_one_left_alone() -> None:
    assert _one_step(clip=2.0)[1] == pytest.approx(0.04 * 2)
    assert _one_step(clip=100.0)[1] == _one_step()[1] == pytest.approx(0.04 * 66)
    assert _one_step(clip=2.0, accumulate=2)[1] == pytest.approx(0.04 * 2), "the sum is shortened, not each piece"


@pytest.mark.parametrize(
    ("params", "where"),
    [({"accumulate": 0}, "accumulate"), ({"accumulate": 3}, "batch"), ({"accumulate": 1.5}, "accumulate"), ({"clip": -1}, "clip"), ({"clip": "1"}, "clip")],
)
def test_a_value_that_cannot_be_used_is_named(tmp_path: Path, params: dict[str, Any], where: str) -> None:
    with pytest.raises(RequestError) as caught:
        Settings.of(training.context(tmp_path, tmp_path, params={"batch": 128, **params}))
    assert where in caught.value.where
    assert caught.value.hint
