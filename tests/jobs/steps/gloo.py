"""Training by several processes on this machine that exchange gradients over gloo: the workers' own code, without Ray."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor

from jobs.contracts.job import Context, Job
from jobs.steps import checkpoints, training_run
from jobs.steps.settings import Settings
from tests.jobs.steps.training import TINY


def trained(context: Context, world: int = 1) -> dict[str, Tensor]:
    """The last weights of a training by so many workers; one works in this process."""
    if world == 1:
        training_run.run(context)
    else:
        torch.multiprocessing.spawn(_worker, (world, context.job.model_dump_json(), str(context.folder), context.inputs["dataset"]), nprocs=world)
    return last(context).model


def last(context: Context) -> checkpoints.Checkpoint:
    found = checkpoints.newest(context.checkpoints, Settings.of(context).job)
    assert found is not None
    return found


def gap(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    """The largest difference between two sets of weights of the same names."""
    assert first.keys() == second.keys()
    return max(float((first[name].double() - second[name].double()).abs().max()) for name in first)


def _worker(rank: int, world: int, job: str, folder: str, dataset: str) -> None:
    context = Context(Job.model_validate_json(job), Path(folder), {"dataset": dataset}, {}, code=str(TINY))
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    training_run.run(context, rank, world)
    dist.destroy_process_group()
    os._exit(0)  # the work is done; threads of torch's sometimes abort an interpreter that ends ("terminate called without an active exception")
