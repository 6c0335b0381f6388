"""The tune step: which parameters of a workload's model are best on the validation part?

    input    dataset          output   parameters: parameters.json (last), report.html, trials.csv, plots/*.png
    entry    the workload's, as in the train step
    params   search: {learning_rate: {loguniform: [0.001, 0.1]}, hidden: {choice: [64, 128]}, dropout: {uniform: [0, 0.4]},
                      embedding: {int: [4, 16]}, batch: {logint: [512, 8192]}}
             trials: 20, parallel: 0 (one per worker), metric: validation_loss, mode: min or max, sampler: tpe or random, seed: 0
             early_stopping: true, false, or {grace: 1, factor: 3}
             the others are the train step's and the workload's, equal in all trials
    resources.workers         trials side by side, each a process with ``cpu`` threads (0 = one trial at a time)

A trial is the train step's own loop in one process. The same step started again after a kill repeats no trial that has ended. A train
step whose input ``parameters`` is this step's output trains the model that is registered (``docs/adr/0010``).
"""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import time
from typing import Any

from jobs.contracts import dataset as datasets
from jobs.contracts import storage
from jobs.contracts.entrypoint import run_step
from jobs.contracts.errors import missing_extra
from jobs.contracts.job import Context, Product, StepResult
from jobs.contracts.parameters import PARAMETERS, Parameters
from jobs.steps import tune_trials
from jobs.steps.settings import only
from jobs.steps.tune_settings import Settings
from jobs.steps.tune_trials import Trial, TrialState

REPORT, TRIALS = "report.html", "trials.csv"


def work(context: Context) -> StepResult:
    """Search for the parameters that are best on the validation part."""
    started = time.monotonic()
    settings = Settings.of(context.job)
    source, target = only(dict(context.inputs), "input"), only(dict(context.outputs), "output")
    settings.at_once(context.job)  # refused before anything is read
    manifest = datasets.verify(source)
    try:
        from jobs.steps import tune_search
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "optuna", "train") from error
    context.report("starting", fraction=0.0)
    trials = tune_search.run(context, settings)
    best = tune_trials.best(trials, settings.direction)
    assert best is not None
    found = Parameters(
        params={**settings.fixed, **best.params},
        metric=settings.metric,
        value=best.value or 0.0,
        trials=len(trials),
        dataset=manifest.fingerprint,
        recorded=_recorded(context, trials, started),
    )
    _publish(context, settings, trials, best, found, target)
    tune_search.forget(context)
    return StepResult(outputs={name: Product(uri=target, fingerprint=found.fingerprint) for name in context.outputs}, summary=_summary(found, trials, target))


def _publish(context: Context, settings: Settings, trials: list[Trial], best: Trial, found: Parameters, target: str) -> None:
    try:
        from jobs.steps import tune_report
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "matplotlib", "report") from error
    plots = tune_report.draw(settings, trials)
    for plot in plots:
        storage.write_bytes(storage.join(target, "plots", f"{plot.name}.png"), plot.png)
    storage.write_bytes(storage.join(target, TRIALS), tune_report.table_csv(settings, trials))
    storage.write_bytes(storage.join(target, REPORT), tune_report.page(f"{context.job.pipeline}/{context.job.step}", settings, trials, best, plots).encode())
    storage.write_bytes(storage.join(target, PARAMETERS), found.model_dump_json(indent=1).encode())


def _recorded(context: Context, trials: list[Trial], started: float) -> dict[str, Any]:
    return {
        "run": context.job.run,
        "host": platform.node(),
        "time": round(time.time()),
        "seconds": round(time.monotonic() - started, 2),
        "training_seconds": round(sum(trial.seconds for trial in trials), 2),
        "versions": {name: importlib.metadata.version(name) for name in ("ray", "optuna", "torch")},
    }


def _summary(found: Parameters, trials: list[Trial], target: str) -> dict[str, Any]:
    return {
        "metric": found.metric,
        "value": found.value,
        "params": found.params,
        "trials": {state.value: count for state in TrialState if (count := sum(trial.state == state for trial in trials))},
        "report": storage.join(target, REPORT),
        "headline": f"best {found.metric} {found.value:.4f} of {len(trials)} trials",
        **{name: found.recorded[name] for name in ("seconds", "training_seconds")},
    }


if __name__ == "__main__":
    sys.exit(run_step(work))
