"""The units of a cross-validation, one after another in this process, or side by side in Ray's workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from jobs.contracts.errors import missing_extra
from jobs.contracts.job import Context
from jobs.steps import crossval_fold
from jobs.steps.crossval_fold import Result, Told
from jobs.steps.crossval_settings import Unit

Done = tuple[Unit, Result, bytes]


def run(context: Context, told: Told, units: Sequence[Unit]) -> list[Result]:
    """Results in the order of ``units``; those of an earlier try of the same job are taken as they are."""
    folder, job = context.checkpoints, context.job.fingerprint
    found = {unit: result for unit in units if (result := crossval_fold.load(folder, unit, job))}
    left = [unit for unit in units if unit not in found]
    context.report(f"{len(left)} of {len(units)} models to train", fraction=len(found) / len(units))
    workers = context.job.resources.get("workers", 1)
    most = int(workers["max"] if isinstance(workers, dict) else workers)
    for unit, result, rows in (_on_ray(context, told, left, most) if most else _here(told, left)) if left else ():
        crossval_fold.save(folder, unit, result, rows)
        found[unit] = result
        shown = ", ".join(f"{name} {value:.4f}" for name, value in list(result.metrics.items())[:1])
        context.report(f"{unit.name}: {shown}; {len(found)} of {len(units)}", fraction=len(found) / len(units), step=len(found))
    return [found[unit] for unit in units]


def _here(told: Told, units: Sequence[Unit]) -> Iterator[Done]:
    for unit in units:
        yield (unit, *crossval_fold.run(unit, told))


def _on_ray(context: Context, told: Told, units: Sequence[Unit], workers: int) -> Iterator[Done]:
    """As many at once as there are workers; a task whose worker is lost is started again so often as the job file says."""
    try:
        import ray

        from jobs.steps.ray_session import cause_of, joined
    except ModuleNotFoundError as error:
        raise missing_extra("ray", "train") from error
    cores, gpu = max(1, int(context.job.resources.get("cpu", 1))), int(context.job.resources.get("gpu", 0))
    at_once = min(workers, len(units))
    with joined(context.ray_address, at_once * cores):
        task: Any = ray.remote(num_cpus=cores, num_gpus=gpu, max_retries=context.job.retries, max_calls=0)(crossval_fold.run)
        waiting, running = list(units), dict[Any, Unit]()
        while waiting or running:
            while waiting and len(running) < at_once:
                unit = waiting.pop(0)
                running[task.remote(unit, told)] = unit
            for reference in ray.wait(list(running))[0]:
                unit = running.pop(reference)
                try:
                    yield (unit, *ray.get(reference))
                except (ray.exceptions.RayTaskError, ray.exceptions.RayError) as error:
                    raise cause_of(error, f"fold {unit.fold} of the {unit.role}") from error
