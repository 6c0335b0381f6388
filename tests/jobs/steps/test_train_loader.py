"""The loader: every row once, equal shares, the same order for the same seed, and memory that does not grow with the data."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from jobs.contracts import dataset as datasets
from jobs.contracts.dataset import Manifest
from jobs.contracts.errors import InputError
from jobs.scoring.encode import Encoder
from jobs.steps.loader import Loader, Rows, concatenate
from tests import factories

ENCODER = Encoder(("color",), ("size", "weight"), {"color": factories.COLORS})
ROW = 4 * 4  # bytes of one encoded row: a category, two numbers, a label
SMALL = 500 * ROW  # a budget that the 3,000 training rows exceed


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Manifest]:
    """5,000 rows, 3,000 of them in train, in row groups of 300."""
    folder = tmp_path_factory.mktemp("dataset")
    manifest = factories.make_dataset(folder, rows=5000)
    for file in manifest.files:
        path = folder / file.path
        pq.write_table(pq.read_table(path), path, row_group_size=300)
    return str(folder), manifest


def loader(published: tuple[str, Manifest], part: str = "train", **options: int) -> Loader:
    return Loader(*published, part, ENCODER, **options)


def sizes(rows: list[Rows]) -> torch.Tensor:
    """The column that tells rows apart, in order."""
    return torch.cat([batch.numeric[:, 0] for batch in rows]).nan_to_num(-1)


@pytest.mark.parametrize("budget", [SMALL, 1 << 30])
def test_in_order_gives_the_published_rows(published: tuple[str, Manifest], budget: int) -> None:
    rows = concatenate(list(loader(published, budget=budget).in_order(128)))
    table = datasets.read_part(*published, "train")
    categorical, numeric = ENCODER.encode({name: table[name] for name in ("color", "size", "weight")}, len(table))
    np.testing.assert_array_equal(rows.categorical.numpy(), categorical)
    np.testing.assert_array_equal(rows.numeric.numpy(), numeric)
    np.testing.assert_array_equal(rows.labels.numpy(), table["late"].to_numpy())
    assert [tensor.dtype for tensor in (rows.categorical, rows.numeric, rows.labels)] == [torch.int32, torch.float32, torch.float32]


@pytest.mark.parametrize("budget", [SMALL, 1 << 30])
def test_shuffled_gives_each_row_once_in_another_order_each_epoch(published: tuple[str, Manifest], budget: int) -> None:
    source = loader(published, budget=budget)
    first, second, again = (sizes(list(source.shuffled(100, seed=1, epoch=epoch))) for epoch in (0, 1, 0))
    expected = sizes(list(source.in_order(1000)))
    assert torch.equal(first.sort().values, expected.sort().values)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, expected)
    assert (first == expected).float().mean() < 0.2, "hardly shuffled"


@pytest.mark.parametrize("budget", [SMALL, 1 << 30])
@pytest.mark.parametrize("batch", [64, 777, 2999, 3000, 5000])
def test_batches_are_whole_and_as_many_as_announced(published: tuple[str, Manifest], batch: int, budget: int) -> None:
    source = loader(published, budget=budget)
    batches = [len(rows) for rows in source.shuffled(batch, seed=1, epoch=0)]
    assert batches == [min(batch, 3000)] * source.steps(batch)


@pytest.mark.parametrize("world", [2, 7])
def test_shares_for_training_are_equal_and_disjoint(published: tuple[str, Manifest], world: int) -> None:
    shares = [loader(published, rank=rank, world=world) for rank in range(world)]
    assert {share.rows for share in shares} == {3000 // world}
    together = torch.cat([sizes(list(share.in_order(1000))) for share in shares])
    assert torch.equal(together, sizes(list(loader(published).in_order(1000)))[: len(together)])
    assert len({share.steps(64) for share in shares}) == 1


def test_shares_for_validation_leave_no_row_out(published: tuple[str, Manifest]) -> None:
    shares = [Loader(*published, "validation", ENCODER, rank=rank, world=7, even=False) for rank in range(7)]
    assert sum(share.rows for share in shares) == 750
    assert max(share.rows for share in shares) - min(share.rows for share in shares) <= 1


def test_a_stream_never_holds_more_than_its_budget(published: tuple[str, Manifest], monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    take = Rows.take
    monkeypatch.setattr(Rows, "take", lambda rows, index: held.append(len(rows)) or take(rows, index))
    list(loader(published, budget=SMALL).shuffled(50, seed=1, epoch=0))
    assert 0 < max(held) <= 250 + 300 + 50, "half the budget, plus a row group, plus a remainder"


def test_more_workers_than_rows_is_an_error(published: tuple[str, Manifest]) -> None:
    with pytest.raises(InputError, match="750 rows for 1000 workers"):
        loader(published, "validation", world=1000)
