"""The train step: a published dataset to a published bundle.

    input    dataset          output   bundle          entry   "package.module:function" returning a workload.Model
    params   seed: 0          of the initial weights and of the order of rows
             batch: 4096      rows per step, of all workers together
             epochs: 0        at most; 0 = what the model asks for
             accumulate: 1    pieces in which each worker computes its part of a batch; more need less memory
             clip: 0          longest gradient, 2-norm over all weights; 0 = as it comes
             compile: off     on = torch.compile; auto = on a GPU, in a run that is long enough to repay it
             precision: auto  bf16 = activations in bfloat16, weights in float32; auto = on GPUs that have it; fp32
             sharding: ddp    fsdp = each worker keeps a part of the model, for one that is too large
             profile: false   true = a trace of a few steps, profile.json.gz in the step's folder
             calibrate, costs, intervals: see :mod:`jobs.steps.uncertainty`
             the others are the workload's own
    input    parameters       optional: what a tune step found, in place of these
    resources.workers: 0      trains in this process; from 1 on Ray Train runs that many

A run that was killed continues from its last checkpoint when the same job is started again in the same folder.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import torch

from jobs.contracts import dataset as datasets
from jobs.contracts import storage
from jobs.contracts.bundle import Bundle
from jobs.contracts.dataset import Manifest
from jobs.contracts.entrypoint import run_step
from jobs.contracts.errors import StepFailed, missing_extra
from jobs.contracts.job import METRICS, PROFILE, Context, Product, StepResult
from jobs.contracts.workload import Model
from jobs.steps import checkpoints, training_run, tuned
from jobs.steps.checkpoints import Progress
from jobs.steps.export import export
from jobs.steps.loader import Loader
from jobs.steps.settings import Settings, only


def train(context: Context) -> StepResult:
    """Train a model on a dataset and publish it as a bundle."""
    started = time.monotonic()
    context = tuned.applied(context)
    settings = Settings.of(context)
    torch.set_num_threads(max(1, settings.workers[1]) * settings.cpu)
    source, target = only(dict(context.inputs), "input"), only(dict(context.outputs), "output")
    manifest = datasets.verify(source)
    model = training_run.build(context, manifest)  # here too, so that a wrong parameter fails before anything starts
    progress = _finished(context, settings)
    model.module.load_state_dict(checkpoints.of_epoch(context.checkpoints, settings.job, progress.best_epoch).model)
    context.report("exporting the best epoch's model")
    bundle = export(context, manifest, model, _validation(source, manifest, model), target)
    summary = _summary(context, progress, bundle, time.monotonic() - started)
    if settings.profile and settings.trace.exists():
        where = storage.join(context.mirror.uri, PROFILE) if context.mirror else settings.trace
        context.report(f"where the time of a few steps went: {where}, for ui.perfetto.dev")
    return StepResult(outputs={name: Product(uri=target, fingerprint=bundle.fingerprint) for name in context.outputs}, summary=summary)


def _validation(source: str, manifest: Manifest, model: Model) -> Loader:
    return Loader(source, manifest, "validation", training_run.encoder_of(model), classes=model.classes, even=False)


def _finished(context: Context, settings: Settings) -> Progress:
    """Train until the end, unless that happened before a kill."""
    found = checkpoints.newest(context.checkpoints, settings.job)
    if found and found.progress.stopped:
        return found.progress
    context.report("starting")
    if settings.workers[1] == 0:
        return training_run.run(context)
    try:
        from jobs.steps import ray_trainer  # here, because a step without workers need not wait 2 s for Ray
    except ModuleNotFoundError as error:
        raise missing_extra("ray", "train") from error
    ray_trainer.fit(context)
    trained = checkpoints.newest(context.checkpoints, settings.job)
    if trained is None or not trained.progress.stopped:
        raise StepFailed(
            "training ended without its last checkpoint", where=str(context.checkpoints), hint="the workers must share this folder with the step's own process"
        )
    return trained.progress


def _summary(context: Context, progress: Progress, bundle: Bundle, seconds: float) -> dict[str, Any]:
    lines = [json.loads(line) for line in (context.folder / METRICS).read_text().splitlines()]
    speeds = [line["rows_per_second"] for line in lines if "rows_per_second" in line]
    return {
        **({"tuned": context.job.params} if tuned.INPUT in context.job.input_fingerprints else {}),
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "validation": {name: interval.model_dump() for name, interval in bundle.metrics.items()},
        "rows_per_second": round(statistics.median(speeds)),
        "seconds": round(seconds, 2),
    }


if __name__ == "__main__":
    sys.exit(run_step(train))
