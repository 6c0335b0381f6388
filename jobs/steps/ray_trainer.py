"""Training on Ray Train: one process per worker, each running :func:`jobs.steps.training_run.run`.

Ray starts the workers, joins them to one process group and starts them again when one is lost. What they continue from
is their own business: the checkpoints in the step's folder, which outlive the workers, this driver and Ray itself.
Where that folder lies in an object store, every worker has a scratch copy, and rank 0 alone writes to the store.
"""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from ray.train import FailureConfig, RunConfig, ScalingConfig, get_context
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2.api.exceptions import TrainingFailedError

from jobs.contracts.errors import SeatrialError, StepFailed
from jobs.contracts.job import MIRRORED, Context, Job
from jobs.contracts.mirror import scratch
from jobs.steps import training_run
from jobs.steps.ray_session import joined
from jobs.steps.settings import Settings

_VARIABLES = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # Ray's 2 s would be added to every run's end and to every lost worker
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "180",  # Ray's 60 s are not enough for workers that import torch on a busy machine
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
_STORAGE = "ray"  # Ray Train's own notes, below the step's folder


# Each is one more process, 3 s of imports. The cleaner asks Ray's dashboard for the controller once a second, for ever where there
# is no dashboard; it is not needed, because our controller dies with this driver and Ray frees what an ended driver had reserved.
# The datasets are those of Ray Data, which we do not use.
_LEFT_OUT = (PlacementGroupCleanerCallback, DatasetsCallback)


class Trainer(TorchTrainer):  # type: ignore[misc]
    """TorchTrainer that ends with the step's process and starts no more processes than the workers and their controller need."""

    def _create_default_callbacks(self) -> list[Any]:
        return [callback for callback in super()._create_default_callbacks() if not isinstance(callback, _LEFT_OUT)]

    def _register_sigint_handler(self, controller: object) -> None:
        """Leave Ctrl-C to the step: Ray's handler would keep it."""


def fit(context: Context) -> None:
    """Train on the job's workers, in the Ray that the target names or else in one of our own.

    Errors: what a worker raised, or StepFailed once the retries are used up.
    """
    settings = Settings.of(context)
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    storage = context.folder / _STORAGE
    shutil.rmtree(storage, ignore_errors=True)  # of an earlier try
    least, most = settings.workers
    config = {"job": context.job.model_dump_json(), "folder": str(context.folder), "inputs": dict(context.inputs), "code": context.code}
    config["store"] = context.mirror.uri if context.mirror else ""
    trainer = Trainer(
        _worker,
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=most if least == most else (least, most), use_gpu=settings.gpu > 0, resources_per_worker=_resources(settings)),
        run_config=RunConfig(name=context.job.step, storage_path=str(storage), failure_config=FailureConfig(max_failures=context.job.retries)),
    )
    if context.mirror:
        context.mirror.push()  # from here on rank 0 is the one who writes
    with joined(context.ray_address, settings.workers[1] * settings.cpu):
        try:
            trainer.fit()
        except TrainingFailedError as error:
            raise _cause(error) from error
    if context.mirror:
        context.mirror.fetch()
    shutil.rmtree(storage, ignore_errors=True)


def _worker(config: dict[str, Any]) -> None:
    # Ray's worker processes know neither the step's environment nor its code.
    rank, world = get_context().get_world_rank(), get_context().get_world_size()
    with scratch(config["store"], MIRRORED, writes=rank == 0) if config["store"] else nullcontext() as mirror:
        folder = mirror.folder if mirror else Path(config["folder"])
        context = Context(Job.model_validate_json(config["job"]), folder, config["inputs"], {}, code=config["code"], mirror=mirror)
        training_run.run(context, rank, world)


def _resources(settings: Settings) -> dict[str, float]:
    return {"CPU": settings.cpu, "GPU": settings.gpu} if settings.gpu else {"CPU": settings.cpu}


def _cause(error: TrainingFailedError) -> SeatrialError:
    """The first worker's own sentence where it has one."""
    failures = getattr(error, "worker_failures", {})
    for failure in failures.values():
        if isinstance(failure, SeatrialError):
            return failure
    first = next(iter(failures.values()), error)
    return StepFailed(f"training failed: {type(first).__name__}: {first}", hint="run the same command again: it continues from the last checkpoint")
