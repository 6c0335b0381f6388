"""A model in shards on two workers that speak gloo: it learns what the whole one learns, and goes on where it stopped."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import nn

from jobs.contracts.job import Context
from jobs.steps.loader import Rows
from jobs.steps.parallel import blocks, in_step
from jobs.steps.train import train
from tests import factories
from tests.jobs.steps import gloo, training

PARAMS = {"seed": 3, "batch": 128, "epochs": 4}
ROUNDING = 2e-5  # of float32, over some 60 steps


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    factories.make_dataset(folder, rows=3000)
    return folder


def context(folder: Path, dataset: Path, **params: Any) -> Context:
    return training.context(folder, dataset, entry="tiny.deep:build", params=PARAMS | params, resources={"workers": 2}, checkpoint={"keep": 4})


@pytest.fixture(scope="module")
def sharded(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A finished training in shards."""
    done = context(tmp_path_factory.mktemp("sharded"), dataset, sharding="fsdp", clip=1.0)
    gloo.trained(done, world=2)
    return done


def test_shards_learn_what_whole_models_learn(dataset: Path, sharded: Context, tmp_path: Path) -> None:
    whole = context(tmp_path, dataset, clip=1.0)
    weights = gloo.trained(whole, world=2)
    assert gloo.gap(gloo.last(sharded).model, weights) < ROUNDING
    assert gloo.last(sharded).optimizer.keys() == gloo.last(whole).optimizer.keys()
    assert gloo.gap(gloo.last(sharded).optimizer, gloo.last(whole).optimizer) < ROUNDING


@pytest.mark.parametrize("then", ["fsdp", "ddp"])
def test_a_stopped_training_goes_on_in_shards_or_whole(dataset: Path, sharded: Context, tmp_path: Path, then: str) -> None:
    stopped = context(tmp_path, dataset, sharding=then, clip=1.0)
    stopped.checkpoints.mkdir()
    (second,) = sharded.checkpoints.glob("epoch-00002-*")
    shutil.copy(second, stopped.checkpoints)
    weights = gloo.trained(stopped, world=2)
    assert "resuming after epoch 2" in training.messages(stopped)
    apart = gloo.gap(weights, gloo.last(sharded).model)
    assert apart == 0 if then == "fsdp" else apart < ROUNDING


def test_what_was_trained_in_shards_is_exported_as_any_model(sharded: Context) -> None:
    train(sharded)  # the workers have ended their work, so what is left is the export
    assert (sharded.folder / "bundle" / "bundle.json").exists()


@pytest.mark.full
def test_pieces_of_a_batch_work_in_shards(dataset: Path, tmp_path: Path) -> None:
    params = {"seed": 3, "batch": 128, "dropout": 0.0, "epochs": 1, "sharding": "fsdp"}  # of a model without blocks
    contexts = [training.context(tmp_path / str(pieces), dataset, params=params | {"accumulate": pieces}, resources={"workers": 2}) for pieces in (1, 2)]
    first, second = (gloo.trained(each, world=2) for each in contexts)
    assert gloo.gap(first, second) < ROUNDING


@pytest.mark.full
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs g++ for the CPU")
def test_compiled_blocks_work_in_shards(dataset: Path, tmp_path: Path) -> None:
    contexts = [context(tmp_path / wish, dataset, sharding="fsdp", dropout=0.0, epochs=1, compile=wish) for wish in ("off", "on")]
    eager, compiled = (gloo.trained(each, world=2) for each in contexts)
    assert 0 < gloo.gap(eager, compiled) < 1e-4, "equal to the last bit would mean that nothing was compiled"


def test_blocks_are_the_entries_of_outermost_lists() -> None:
    inner = nn.ModuleList([nn.Sequential(nn.ModuleList([nn.Linear(1, 1)])), nn.Linear(1, 1)])
    assert list(blocks(nn.Sequential(nn.Linear(1, 1), nn.Sequential(inner)))) == list(inner)
    assert not list(blocks(nn.Linear(1, 1)))


def _one_with_more(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    batches = [Rows(torch.zeros(n, 0), torch.zeros(n, 0), torch.zeros(n)) for n in range(1, 2 + 2 * rank)]
    found = [(len(rows), counts) for rows, counts in in_step(batches, "cpu")]
    assert found == ([(1, True), (2, True), (3, True)] if rank else [(1, True), (1, False), (1, False)])
    dist.destroy_process_group()


def test_a_worker_with_fewer_batches_keeps_step(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_one_with_more, (str(tmp_path),), nprocs=2)
