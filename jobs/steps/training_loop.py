"""The training loop of one worker: the same with and without other workers, and without Ray.

Deterministic: initial weights follow from the seed, the order of rows and dropout from (seed, epoch, rank). So a run
that resumes from a checkpoint ends with the weights, bit for bit on CPU, of one that was never interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import repeat

import torch
import torch.distributed as dist
from torch import Tensor, nn

from jobs.contracts.errors import RunError
from jobs.contracts.workload import Model
from jobs.steps import checkpoints
from jobs.steps.checkpoints import Progress
from jobs.steps.device import Placement, autocast, compiles, has_compiler
from jobs.steps.gradients import backward
from jobs.steps.loader import Loader, Rows
from jobs.steps.objectives import Objective, objective_of
from jobs.steps.parallel import blocks, in_step, replicated, shard
from jobs.steps.prefetch import on_device
from jobs.steps.profiling import profiled
from jobs.steps.settings import Settings
from jobs.steps.training_state import collect
from jobs.steps.usage import Usage

Report = Callable[..., None]  # Context.report: message, fraction=…, **metrics

_EVALUATION_BATCH = 16_384  # rows; no gradients, so only memory limits it
_REPORT_EVERY = 5.0  # seconds between signs of life inside an epoch
_WARM_UP, _FINAL = 0.2, 0.01  # share of the steps with rising rate; last rate as a share of the highest


@dataclass(frozen=True)
class Worker:
    """This process among the workers."""

    rank: int
    world: int
    placement: Placement


def train(model: Model, training: Loader, validation: Loader, settings: Settings, worker: Worker, report: Report) -> Progress:
    """Train until the epochs or the patience end, from the newest checkpoint if there is one; rank 0 saves and reports.

    Errors: RunError when the loss is no longer a number.
    """
    objective, sharded = objective_of(model), settings.sharding == "fsdp" and worker.world > 1
    steps = training.steps(settings.batch // worker.world)
    compiled = compiles(settings.compile, worker.placement.device, steps * settings.epochs, able=has_compiler())
    module = _placed(model.module, worker, compiled=compiled, sharded=sharded)
    optimizer = torch.optim.AdamW(module.parameters(), lr=model.learning_rate, weight_decay=model.weight_decay, fused=True)
    progress = _resume(module, optimizer, settings, report if worker.rank == 0 else _silent)
    parallel = module if sharded or worker.world == 1 else replicated(module, every_pass=settings.accumulate == 1)
    usage = Usage()
    trace = settings.trace if settings.profile and worker.rank == 0 else None
    while not progress.stopped:
        started = time.monotonic()
        torch.manual_seed(_mix(settings.seed, progress.epoch, worker.rank))
        batches = training.shuffled(settings.batch // worker.world, seed=settings.seed, epoch=progress.epoch)
        rates = Rates(model.learning_rate, steps * settings.epochs, progress.epoch * steps)
        within = _Within(report, progress.epoch, steps, settings.epochs) if worker.rank == 0 else None
        with profiled(trace, steps, within) as each:
            loss = run_epoch(parallel, optimizer, batches, rates, worker.placement, objective, each, accumulate=settings.accumulate, clip=settings.clip)
        trace = None  # the first epoch is enough
        seconds = time.monotonic() - started
        with torch.compiler.set_stance("force_eager") if compiled else nullcontext():  # its batches are of other sizes: each would compile anew
            measured = evaluate(module, validation, worker, objective, together=sharded)
        if not math.isfinite(measured.loss):
            raise RunError(
                f"the validation loss became {measured.loss} in epoch {progress.epoch + 1}",
                hint="lower the model's learning_rate, or look for absurd values in the features",
            )
        progress = progress.after_epoch(measured.loss, patience=model.patience, max_epochs=settings.epochs)
        saves = progress.stopped or progress.epoch == progress.best_epoch or settings.every_epoch
        tensors = collect(module, optimizer) if saves and (sharded or worker.rank == 0) else {}
        if worker.rank == 0:
            rows = steps * settings.batch
            _report_epoch(report, progress, settings.epochs, loss, measured, rows / seconds, objective, {"learning_rate": rates.last, **usage.look()})
            if saves:
                checkpoints.save(settings.checkpoints, progress, tensors, keep=settings.keep)
    return progress


def _placed(module: nn.Module, worker: Worker, *, compiled: bool, sharded: bool) -> nn.Module:
    """The module on the worker's device. Compiled in place, unlike by ``torch.compile(module)``: the weights keep their names."""
    if compiled:
        for part in (list(blocks(module)) if sharded else []) or [module]:
            part.forward = torch.compile(part.forward)  # without hooks: those with which shards are put together cannot be compiled
    if not sharded:
        return module.to(worker.placement.device)
    shard(module, worker.placement.device, worker.world)
    return module


@dataclass
class Rates:
    """One-cycle learning rate (Smith and Topin 2018): up along a half cosine, then down; ``step`` counts over all epochs."""

    highest: float
    total: int
    step: int = 0
    last: float = 0.0

    def next(self) -> float:
        share = self.step / self.total
        self.step += 1
        self.last = self._at(share)
        return self.last

    def _at(self, share: float) -> float:
        if share < _WARM_UP:
            return self.highest * _between(0.04, 1.0, share / _WARM_UP)
        return self.highest * _between(1.0, _FINAL, (share - _WARM_UP) / (1 - _WARM_UP))


def run_epoch(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Rows],
    rates: Rates,
    placement: Placement,
    objective: Objective,
    within: Callable[[], None] | None = None,
    *,
    accumulate: int = 1,
    clip: float = 0.0,
) -> float:
    """One pass over ``batches``; the mean training loss of this worker. Reads no result from the device before the end.

    Each batch is one optimizer step, computed in ``accumulate`` pieces. ``clip``: longest gradient, as the 2-norm over all
    weights; a longer one is shortened. 0 = as it comes.
    """
    module.train()
    losses: list[Tensor] = []
    for batch in on_device(batches, placement):
        for group in optimizer.param_groups:
            group["lr"] = rates.next()
        optimizer.zero_grad(set_to_none=True)
        losses.append(backward(module, batch, placement, objective, accumulate))
        if clip:
            nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()
        if within:
            within()
    return float(torch.stack(losses).mean())


@dataclass(frozen=True)
class Measured:
    loss: float
    quality: float


@torch.inference_mode()
def evaluate(module: nn.Module, loader: Loader, worker: Worker, objective: Objective, *, together: bool = False) -> Measured:
    """Mean loss and quality over all workers' rows: one exchange of fixed size.

    ``together``: the module is in shards, so all workers must compute the same number of batches.
    """
    module.eval()
    totals = torch.zeros(2 + objective.size, dtype=torch.float64, device=worker.placement.device)
    batches = loader.in_order(_EVALUATION_BATCH)
    for rows, counts in in_step(batches, worker.placement.device) if together else zip(batches, repeat(True)):
        batch = rows.to(worker.placement.device, non_blocking=False)
        with autocast(worker.placement):
            logits = module(batch.categorical, batch.numeric).float()
        if not counts:
            continue
        totals[0] += objective.loss(logits, batch.labels, "sum")
        totals[1] += len(rows)
        totals[2:] += objective.tally(logits, batch.labels)
    if worker.world > 1:
        dist.all_reduce(totals)
    return Measured(float(totals[0] / totals[1]), objective.quality(totals[2:]))


def _resume(module: nn.Module, optimizer: torch.optim.Optimizer, settings: Settings, report: Report) -> Progress:
    checkpoint = checkpoints.newest(settings.checkpoints, settings.job)
    if checkpoint is None:
        return Progress(settings.job)
    checkpoints.restore(checkpoint, module, optimizer)
    report(f"resuming after epoch {checkpoint.progress.epoch}", fraction=checkpoint.progress.epoch / settings.epochs)
    return checkpoint.progress


def _report_epoch(
    report: Report, progress: Progress, max_epochs: int, loss: float, measured: Measured, rows_per_second: float, objective: Objective, others: dict[str, float]
) -> None:
    quality = f"{objective.title} {measured.quality:.4f}"
    message = f"epoch {progress.epoch}/{max_epochs}: validation loss {measured.loss:.4f}, {quality}, {rows_per_second:,.0f} rows/s"
    report(
        message,
        fraction=1.0 if progress.stopped else progress.epoch / max_epochs,
        epoch=progress.epoch,
        train_loss=loss,
        validation_loss=measured.loss,
        rows_per_second=round(rows_per_second),
        **{f"validation_{objective.metric}": measured.quality},
        **others,
    )


class _Within:
    """Says now and then how far an epoch is."""

    def __init__(self, report: Report, epoch: int, steps: int, max_epochs: int) -> None:
        self._report, self._epoch, self._steps, self._max_epochs = report, epoch, steps, max_epochs
        self._step, self._next = 0, time.monotonic() + _REPORT_EVERY

    def __call__(self) -> None:
        self._step += 1
        if time.monotonic() >= self._next:
            self._next += _REPORT_EVERY
            done = self._step / self._steps
            self._report(f"epoch {self._epoch + 1}/{self._max_epochs}: {done:.0%}", fraction=(self._epoch + done) / self._max_epochs)


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _mix(seed: int, epoch: int, rank: int) -> int:
    return (seed * 1_000_003 + epoch) * 1_000_003 + rank


def _silent(*args: object, **metrics: object) -> None:
    pass
