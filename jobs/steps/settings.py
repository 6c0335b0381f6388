"""What a train step's job asks of the room, checked; the other parameters are the workload's own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.contracts.errors import RequestError
from jobs.contracts.job import PROFILE, Context, Job
from jobs.steps import uncertainty

DEFAULTS: dict[str, Any] = {
    "seed": 0,
    "batch": 4096,
    "epochs": 0,
    "accumulate": 1,
    "clip": 0.0,
    "compile": "off",
    "precision": "auto",
    "sharding": "ddp",
    "profile": False,
}
CHOICES = {"compile": ("auto", "on", "off"), "precision": ("auto", "fp32", "bf16"), "sharding": ("ddp", "fsdp")}
ONLY = 1  # a train step has one input and one output, whatever they are called


@dataclass(frozen=True)
class Settings:
    job: str  # fingerprint: whose checkpoints these are
    seed: int
    batch: int  # rows per step of all workers together
    epochs: int  # at most; 0 = as many as the model asks for
    accumulate: int  # pieces in which a worker computes its part of a batch
    clip: float  # longest gradient, 2-norm over all weights; 0 = as it comes
    compile: str  # auto | on | off
    precision: str  # auto | fp32 | bf16
    sharding: str  # ddp = every worker has the whole model, fsdp = a part of it
    profile: bool  # write a trace of a few steps
    trace: Path  # where to
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
        params = {name: _like(default, job.params.get(name, default), name) for name, default in DEFAULTS.items()}
        workers = _workers(job.resources.get("workers", 1))
        _check_batch(params["batch"], params["accumulate"], workers)
        return cls(
            job=job.fingerprint,
            **params,
            trace=context.folder / PROFILE,
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


def _check_batch(batch: int, accumulate: int, workers: tuple[int, int]) -> None:
    if accumulate < 1:
        raise RequestError("a batch cannot be computed in 0 pieces", where="params.accumulate", hint="1 computes it as a whole")
    if batch < 1 or any(batch % (max(1, count) * accumulate) for count in workers):
        over = f"{workers[1]} workers" + (f" in {accumulate} pieces each" if accumulate > 1 else "")
        raise RequestError(
            f"a batch of {batch} rows cannot be split evenly over {over}", where="params.batch", hint=f"use a multiple of {max(1, workers[1]) * accumulate}"
        )


def _like(default: Any, value: Any, name: str) -> Any:
    if isinstance(default, bool):
        return _flag(value, name)
    if isinstance(default, str):
        return _choice(value, name)
    return _number(value, name) if isinstance(default, float) else _whole(value, name)


def _workers(value: Any) -> tuple[int, int]:
    if isinstance(value, dict):
        return _whole(value.get("min"), "resources.workers.min"), _whole(value.get("max"), "resources.workers.max")
    return (_whole(value, "resources.workers"),) * 2


def _whole(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RequestError(f"{value!r} is no whole number from 0", where=name, hint="correct it in the job file")
    return value


def _number(value: Any, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise RequestError(f"{value!r} is no number from 0", where=f"params.{name}", hint="correct it in the job file")
    return float(value)


def _choice(value: Any, name: str) -> str:
    spelled = {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value  # YAML reads a bare on as true
    if spelled not in CHOICES[name]:
        raise RequestError(f"{value!r} is none of {', '.join(CHOICES[name])}", where=f"params.{name}", hint="correct it in the job file")
    return str(spelled)


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise RequestError(f"{value!r} is neither true nor false", where=f"params.{name}", hint="correct it in the job file")
    return value
