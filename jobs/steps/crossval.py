"""The cross-validation step: how good is a workload's model, how sure is that, and is it better than another one?

    input    dataset          output   report: report.html, card.md, folds.parquet (every held-out row with its score), plots/*.png,
    entry    the workload's, as in the train step                     and, last, crossval.json
    params   folds: 0         the dataset's own number (10 unless the workload says otherwise), or fewer
             parts: [train, validation]    what is divided; the test part stays untouched
             compare: {entry: "flights.model:baseline", params: {}}    a second model on the same folds
             learning_curve: [0.1, 0.3]    also with these shares of the training rows, on ``curve_folds: 3`` folds
             the others are the train step's and the workload's
    resources.workers         models trained side by side, each in a process with ``cpu`` threads (0 = one after another, here)

Folds are the ETL's: a function of the row's day, so that no day lies in two. Fold k tests, fold k + 1 says when to stop training, the
others train, and what a model fits is fitted on those alone. Each unit is the train step itself on its fold; the same step
started again after a kill trains only what is missing.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.contracts import dataset as datasets
from jobs.contracts import fingerprint, storage
from jobs.contracts.entrypoint import run_step
from jobs.contracts.errors import missing_extra
from jobs.contracts.job import Context, Product, StepResult
from jobs.steps import crossval_numbers, crossval_run
from jobs.steps.crossval_findings import Findings
from jobs.steps.crossval_fold import Told
from jobs.steps.crossval_settings import MODEL, OTHER, Settings, units
from jobs.steps.settings import only

NUMBERS, REPORT, CARD, ROWS = "crossval.json", "report.html", "card.md", "folds.parquet"


def work(context: Context) -> StepResult:
    """Train and test a model on every fold of a dataset, and say what the folds agree on."""
    started = time.monotonic()
    settings = Settings.of(context.job)
    source, target = only(dict(context.inputs), "input"), only(dict(context.outputs), "output")
    manifest = datasets.verify(source)
    folds = settings.number(manifest)
    wanted = list(units(settings, folds))
    told = Told(context.job.model_dump_json(), settings, folds, source, context.code)
    results = crossval_run.run(context, told, wanted)
    recorded = {"run": context.job.run, "host": platform.node(), "time": round(time.time()), "seconds": round(time.monotonic() - started, 2)}
    findings = Findings(context.job, manifest, settings, folds, results, recorded)
    numbers = findings.numbers()
    _publish(context, findings, numbers, target)
    digest = fingerprint.of({name: value for name, value in numbers.items() if name not in ("recorded", "units")})
    return StepResult(outputs={name: Product(uri=target, fingerprint=digest) for name in context.outputs}, summary=_summary(findings, target))


def _publish(context: Context, findings: Findings, numbers: dict[str, Any], target: str) -> None:
    try:
        from jobs.steps import crossval_report
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "matplotlib", "report") from error
    plots = crossval_report.draw(findings)
    for plot in plots:
        storage.write_bytes(storage.join(target, "plots", f"{plot.name}.png"), plot.png)
    storage.write_bytes(storage.join(target, ROWS), _held_out(context, findings))
    storage.write_bytes(storage.join(target, REPORT), crossval_report.page(findings, plots).encode())
    storage.write_bytes(storage.join(target, CARD), crossval_report.card(findings).encode())
    storage.write_bytes(storage.join(target, NUMBERS), json.dumps(numbers, indent=1).encode())


def _held_out(context: Context, findings: Findings) -> bytes:
    """Every row once per model, with the score of the model that had not seen it."""
    names = [unit.name for unit in units(findings.settings.model_copy(update={"learning_curve": ()}), findings.folds)]
    table = pa.concat_tables([pq.read_table(context.checkpoints / f"{name}.parquet") for name in names]).unify_dictionaries()
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _summary(findings: Findings, target: str) -> dict[str, Any]:
    roles = [role for role in (MODEL, OTHER) if findings.of(role)]
    first = findings.metrics[0]
    best = crossval_numbers.mean(findings.of(MODEL), first)
    return {
        "folds": findings.folds,
        "metrics": {role: {name: crossval_numbers.mean(findings.of(role), name).model_dump() for name in findings.metrics} for role in roles},
        "comparison": {name: asdict(found) | {"difference": found.difference.model_dump()} for name, found in findings.comparisons().items()},
        "report": storage.join(target, REPORT),
        "card": storage.join(target, CARD),
        "headline": f"{first} {best.value:.4f} ({best.low:.4f} to {best.high:.4f}) over {findings.folds} folds",
    }


if __name__ == "__main__":
    sys.exit(run_step(work))
