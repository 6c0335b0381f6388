"""What `training.py` measures Seatrial against: loops that an engineer would write without it, on the same rows and model.

    python benchmarks/training_peers.py bare WORK             one process, both cores, tensors in memory
    torchrun --nproc-per-node 2 … torchrun WORK               two gloo processes, tensors in memory
    python benchmarks/training_peers.py ray-data WORK         Ray Train with the documented iter_torch_batches pattern

WORK is a folder with ``settings.json`` and the encoded rows (``rows.pt``, ``rows/*.parquet``). Each prints one JSON line: rows/s.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.parallel import DistributedDataParallel

from jobs.contracts.dataset import load_manifest
from jobs.contracts.workload import load_entry

Batches = Callable[[], Iterator[tuple[Tensor, Tensor, Tensor]]]


def settings(work: Path) -> dict[str, Any]:
    return json.loads((work / "settings.json").read_text())  # type: ignore[no-any-return]


def module(given: dict[str, Any]) -> nn.Module:
    sys.path.insert(0, given["code"])
    torch.manual_seed(7)
    return load_entry(given["entry"])(load_manifest(given["dataset"]), {}).module  # type: ignore[no-any-return]


def train(model: nn.Module, batches: Batches, epochs: int, rows: int) -> float:
    """Rows per second of all processes, median over the epochs after the first."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    speeds = []
    for _ in range(epochs):
        started = time.perf_counter()
        for categorical, numeric, labels in batches():
            optimizer.zero_grad(set_to_none=True)
            loss = binary_cross_entropy_with_logits(model(categorical, numeric), labels)
            loss.backward()
            optimizer.step()
        speeds.append(rows / (time.perf_counter() - started))
    return statistics.median(speeds[1:])


def in_memory(work: Path, rank: int, world: int, batch: int) -> tuple[Batches, int]:
    """Random batches of this process's share, and the rows of all processes in one epoch."""
    categorical, numeric, labels = (tensor[rank::world].contiguous() for tensor in torch.load(work / "rows.pt", weights_only=True))
    share = batch // world
    whole = len(labels) // share * share

    def batches() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        order = torch.randperm(len(labels))[:whole]
        for index in order.split(share):
            yield categorical[index], numeric[index], labels[index]

    return batches, whole * world


def bare(work: Path) -> float:
    given = settings(work)
    torch.set_num_threads(2)
    batches, rows = in_memory(work, 0, 1, given["batch"])
    return train(module(given), batches, given["epochs"], rows)


def torchrun(work: Path) -> float:
    given = settings(work)
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    batches, rows = in_memory(work, dist.get_rank(), dist.get_world_size(), given["batch"])
    return train(DistributedDataParallel(module(given)), batches, given["epochs"], rows)


def ray_data(work: Path) -> float:
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    os.environ["RAY_TRAIN_METRICS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="error")
    rows = ray.data.read_parquet(str(work / "rows"))
    trainer = TorchTrainer(
        ray_data_worker,
        train_loop_config={"work": str(work)},
        datasets={"train": rows},
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(storage_path=str(work / "ray"), failure_config=FailureConfig(max_failures=0)),
    )
    trainer.fit()
    return float((work / "ray-data.txt").read_text())


def ray_data_worker(config: dict[str, str]) -> None:
    from ray import train as ray_train
    from ray.train.torch import prepare_model

    work = Path(config["work"])
    given = settings(work)
    torch.set_num_threads(1)
    shard, world = ray_train.get_dataset_shard("train"), ray_train.get_context().get_world_size()
    names = given["categorical"], given["numeric"]

    def batches() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for batch in shard.iter_torch_batches(batch_size=given["batch"] // world, local_shuffle_buffer_size=4 * given["batch"], drop_last=True):
            yield torch.stack([batch[name] for name in names[0]], 1), torch.stack([batch[name] for name in names[1]], 1), batch["label"]

    speed = train(prepare_model(module(given)), batches, 2, given["rows"])
    if ray_train.get_context().get_world_rank() == 0:
        (work / "ray-data.txt").write_text(str(speed))


if __name__ == "__main__":
    kind, folder = sys.argv[1], Path(sys.argv[2])
    speed = {"bare": bare, "torchrun": torchrun, "ray-data": ray_data}[kind](folder)
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps({"rows_per_second": round(speed)}), flush=True)
