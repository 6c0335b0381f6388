"""What a train step's job asks of the room, checked; the other parameters are the workload's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.contracts.errors import RequestError
from jobs.contracts.job import Context, Job
from jobs.steps import uncertainty

DEFAULTS = {"seed": 0, "batch": 4096, "epochs": 0}
ONLY = 1  # a train step has one input and one output, whatever they are called


@dataclass(frozen=True)
class Settings:
    job: str  # fingerprint: whose checkpoints these are
    seed: int
    batch: int  # rows per step of all workers together
    epochs: int  # at most; 0 = as many as the model asks for
    checkpoints: Path
    every_epoch: bool  # save after each epoch; otherwise only the best, which the bundle needs
    keep: int  # newest checkpoints kept, besides the best
    workers: tuple[int, int]  # least and most; (0, 0) = in the step's own process
    cpu: int  # cores, so threads, of each worker
    gpu: int  # of each worker

    @classmethod
    def of(cls, context: Context) -> Settings:
        """Errors: RequestError for a value that cannot be used."""
        job = context.job
        params = {name: _whole(job.params.get(name, default), name) for name, default in DEFAULTS.items()}
        workers = _workers(job.resources.get("workers", 1))
        if params["batch"] < 1 or any(params["batch"] % count for count in set(workers) - {0}):
            raise RequestError(
                f"a batch of {params['batch']} rows cannot be split evenly over {workers[1]} workers",
                where="params.batch",
                hint=f"use a multiple of {workers[1]}",
            )
        return cls(
            job=job.fingerprint,
            **params,
            checkpoints=context.checkpoints,
            every_epoch=job.checkpoint.get("every", "epoch") == "epoch",
            keep=_whole(job.checkpoint.get("keep", 2), "checkpoint.keep"),
            workers=workers,
            cpu=max(1, int(job.resources.get("cpu", 1))),
            gpu=_whole(job.resources.get("gpu", 0), "resources.gpu"),
        )


def workload_params(job: Job) -> dict[str, Any]:
    """The parameters that the room does not know, for the workload's function."""
    return {name: value for name, value in job.params.items() if name not in DEFAULTS and name not in uncertainty.NAMES}


def only(places: dict[str, str], kind: str) -> str:
    """The URI of the step's only input or output."""
    if len(places) != ONLY:
        raise RequestError(f"a train step has one {kind}, this one {len(places)}", where=f"{kind}s", hint="inputs: {dataset: …}, outputs: {bundle: …}")
    return next(iter(places.values()))


def _workers(value: Any) -> tuple[int, int]:
    if isinstance(value, dict):
        return _whole(value.get("min"), "resources.workers.min"), _whole(value.get("max"), "resources.workers.max")
    return (_whole(value, "resources.workers"),) * 2


def _whole(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RequestError(f"{value!r} is no whole number from 0", where=name, hint="correct it in the job file")
    return value
