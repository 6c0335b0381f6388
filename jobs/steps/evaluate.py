"""The evaluate step: is this model good, for whom, and may it replace the one that answers now?

    inputs   dataset, bundle; baseline (another bundle, optional); champion (the current one; absent at first)
    params   gate: {metric: roc_auc, beats: [baseline, champion], margin: 0.0}     metric: the task's first one unless named
             slices: [column, ...]    default: text features with few values; month and hour come from the time column
             bootstrap: 200           samples behind every interval
             seed: 0
    output   report: predictions.parquet, plots/*.png, report.html, metrics.json and, last, verdict.json

Runs on numpy and ONNX Runtime through the same scorer as serving; needs neither PyTorch nor Ray.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.contracts import dataset as datasets
from jobs.contracts import fingerprint, storage
from jobs.contracts.dataset import PARTS, Manifest, Role
from jobs.contracts.entrypoint import run_step
from jobs.contracts.errors import InputError, SpecError, complaint, missing_extra
from jobs.contracts.job import Context, Product, StepResult, variable
from jobs.scoring import tasks
from jobs.scoring.metrics import Floats
from jobs.scoring.scorer import Scorer
from jobs.steps import contenders, importance, learning_curves, slices, uncertainty_measured
from jobs.steps.contenders import BASELINE, CHAMPION, CONSTANT, MODEL, Contender
from jobs.steps.evaluation import Evaluation
from jobs.steps.gate import Gate, decide

PREDICTIONS, REPORT, NUMBERS, VERDICT = "predictions.parquet", "report.html", "metrics.json", "verdict.json"
PROBABILITY, PREDICTION = "probability", "prediction"
TIMELINE_ROWS = 120_000  # per part; of a larger part every k-th batch is scored, spread evenly over its time
_BATCH = 4_096  # rows scored at a time
_THREADS = min(4, os.cpu_count() or 1)


class Params(BaseModel):
    """``params`` of an evaluate step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: Gate = Gate()
    slices: tuple[str, ...] | None = None
    bootstrap: int = Field(default=200, ge=50, le=10_000)
    seed: int = 0

    @classmethod
    def of(cls, params: dict[str, Any]) -> Params:
        try:
            return cls.model_validate(params)
        except ValidationError as error:
            what, where = complaint(error)
            raise SpecError(what, where=f"params.{where}", hint=f"an evaluate step takes {', '.join(cls.model_fields)}") from error


def work(context: Context) -> StepResult:
    """Measure a model on the test part, compare it with the baseline and the champion, and say which it becomes."""
    evaluation, test = measure(context)
    context.report("drawing the report", fraction=0.7)
    output = context.outputs["report"]
    product = publish(evaluation, test, output)
    context.report("; ".join(evaluation.verdict.reasons), fraction=1.0)
    return StepResult(outputs={"report": product}, summary=_summary(evaluation, output))


def measure(context: Context) -> tuple[Evaluation, pa.Table]:
    """All numbers of the report, and the test rows they are about."""
    params = Params.of(context.job.params)
    uri, bundle_uri = _input(context, "dataset"), _input(context, "bundle")
    manifest = datasets.verify(uri)
    columns = slices.choose_columns(manifest, params.slices)
    test = datasets.read_part(uri, manifest, "test")
    scorer = _open(bundle_uri, manifest)
    task, gate = scorer.task, params.gate.of(scorer.task)
    labels = tasks.labels_of(test[manifest.label.name], scorer.bundle.classes)
    context.report(f"scoring {len(test):,} test rows", fraction=0.1)
    compared, unfit = _contenders(context, params, scorer, manifest, test, labels)
    context.report("slices and importance", fraction=0.4)
    model = compared[0]
    uncalibrated = contenders.uncalibrated(scorer.bundle, model, labels, task=task, samples=params.bootstrap, seed=params.seed)
    evaluation = Evaluation(
        manifest=manifest,
        bundle=scorer.bundle,
        contenders=compared,
        labels=labels,
        gate=gate,
        verdict=decide(gate, model, compared[1:], task=task, unfit=unfit),
        slices=slices.by_value(test, manifest, columns, labels, model.scores, threshold=model.threshold, seed=params.seed, task=task),
        months=_timeline(uri, manifest, scorer, test, labels, model.scores),
        importances=importance.permute(scorer, test, labels, seed=params.seed),
        curves=learning_curves.read(bundle_uri),
        uncalibrated=uncalibrated,
        uncertainty=uncertainty_measured.measure(scorer.bundle, model, uncalibrated, labels),
        notes=_notes(compared, manifest),
    )
    return evaluation, test


def publish(evaluation: Evaluation, test: pa.Table, output: str) -> Product:
    """Write the report folder; ``verdict.json`` last, because its presence says that the rest is complete."""
    report = _report()
    plots = report.draw(evaluation)
    numbers, judgement = evaluation.numbers(), evaluation.judgement()
    storage.write_bytes(storage.join(output, PREDICTIONS), _predictions(evaluation, test))
    for plot in plots:
        storage.write_bytes(storage.join(output, "plots", f"{plot.name}.png"), plot.png)
    storage.write_bytes(storage.join(output, REPORT), report.render(evaluation, plots).encode())
    storage.write_bytes(storage.join(output, NUMBERS), json.dumps(numbers, indent=1).encode())
    storage.write_bytes(storage.join(output, VERDICT), json.dumps(judgement, indent=1).encode())
    return Product(uri=output, fingerprint=fingerprint.of({"metrics": numbers, "verdict": judgement}))


def _report() -> ModuleType:
    """The report's module: matplotlib and Jinja are needed by nothing else here."""
    try:
        return importlib.import_module("jobs.steps.report")
    except ModuleNotFoundError as error:
        raise missing_extra(error.name or "matplotlib", "report") from error


def _input(context: Context, name: str) -> str:
    if uri := context.inputs.get(name, ""):
        return uri
    raise InputError(f"an evaluate step needs the input {name!r}", where=f"step {context.job.step}", hint=f"add `{name}:` to its inputs in the job file")


def _open(uri: str, manifest: Manifest) -> Scorer:
    scorer = Scorer(uri, threads=_THREADS)
    if lacking := contenders.missing_inputs(scorer.bundle, manifest):
        hint = "evaluate the bundle on the dataset it was trained on, or train again"
        raise InputError(f"the dataset lacks inputs of the bundle: {', '.join(lacking)}", where=uri, hint=hint)
    return scorer


def _contenders(context: Context, params: Params, scorer: Scorer, manifest: Manifest, test: pa.Table, labels: Floats) -> tuple[list[Contender], str]:
    """The model, its baseline and, where one exists and can answer these rows, the champion; else why it cannot."""
    settings: dict[str, int] = {"samples": params.bootstrap, "seed": params.seed}
    found = [contenders.judge(MODEL, scorer, test, labels, **settings)]
    if baseline := context.inputs.get("baseline"):
        found.append(contenders.judge(BASELINE, _comparable(_open(baseline, manifest), scorer, baseline), test, labels, **settings))
    else:
        found.append(contenders.constant(_training_rate(context.inputs["dataset"], manifest, scorer), labels, task=scorer.task, **settings))
    champion = context.inputs.get("champion") or os.environ.get(variable("INPUT", "champion"))
    if not champion:
        return found, ""
    opened = Scorer(champion, threads=_THREADS)
    lacking = contenders.missing_inputs(opened.bundle, manifest)
    if lacking or not _same_question(opened, scorer):
        why = f"this dataset lacks its inputs {', '.join(lacking)}" if lacking else f"it is a model for {opened.bundle.task} or has other classes"
        return found, (
            f"The champion cannot answer these rows: {why}. "
            "Without a comparison this version stays a challenger; `seatrial models promote` makes it champion by hand."
        )
    return [*found, contenders.judge(CHAMPION, opened, test, labels, **settings)], ""


def _same_question(one: Scorer, other: Scorer) -> bool:
    return (one.task.output, one.bundle.classes) == (other.task.output, other.bundle.classes)


def _comparable(baseline: Scorer, scorer: Scorer, uri: str) -> Scorer:
    if not _same_question(baseline, scorer):
        what = f"the baseline is a model for {baseline.bundle.task}, the bundle for {scorer.bundle.task}, or their classes differ"
        raise InputError(what, where=uri, hint="give a baseline that answers the same question")
    return baseline


def _training_rate(uri: str, manifest: Manifest, scorer: Scorer) -> float | Floats:
    """The mean label of the train part, or the share of each class."""
    known, classes = manifest.label.statistics, scorer.bundle.classes
    if known and known.mean is not None and not classes:
        return known.mean
    labels = tasks.labels_of(datasets.read_part(uri, manifest, "train", [manifest.label.name])[manifest.label.name], classes)
    return np.bincount(labels.astype(np.int64), minlength=len(classes)) / len(labels) if classes else float(labels.mean())


def _timeline(uri: str, manifest: Manifest, scorer: Scorer, test: pa.Table, labels: Floats, scores: Floats) -> list[slices.Month]:
    """Months of every part, in order of the parts: the test part alone may be a single month."""
    if not manifest.columns_of(Role.TIME):
        return []
    others = [part for part in PARTS if part != "test" and manifest.files_of(part)]
    earlier = [month for part in others for month in _months_of_part(uri, manifest, part, scorer)]
    return earlier + slices.by_month("test", slices.months_of(test, manifest), labels, scores, task=scorer.task)


def _months_of_part(uri: str, manifest: Manifest, part: str, scorer: Scorer) -> list[slices.Month]:
    time, label = manifest.columns_of(Role.TIME)[0].name, manifest.label.name
    columns = [time, label, *(field.name for field in scorer.bundle.inputs)]
    every = -(-manifest.split.rows[part] // TIMELINE_ROWS)
    batches = datasets.open_part(uri, manifest, part).to_batches(columns=columns, batch_size=_BATCH)
    months, labels, scores = [], [], []
    for position, batch in enumerate(batches):
        if position % every == 0 and batch.num_rows:
            table = pa.Table.from_batches([batch])
            months.append(slices.months_of(table, manifest))
            labels.append(tasks.labels_of(table[label], scorer.bundle.classes))
            scores.append(scorer.score(table).astype(np.float64))
    return slices.by_month(part, np.concatenate(months), np.concatenate(labels), np.concatenate(scores), task=scorer.task) if labels else []


def _notes(compared: list[Contender], manifest: Manifest) -> list[str]:
    """What a reader must know before believing the comparison."""
    notes = []
    for one in compared:
        if one.name == CONSTANT:
            notes.append("No baseline was given, so the baseline answers the training part's rate to every row: what knowing nothing is worth.")
        elif one.dataset != manifest.fingerprint:
            other = f"The {one.role} was trained on another version of the data ({one.dataset[:12]})."
            notes.append(f"{other} If that version trained on these test rows, it has an unfair advantage.")
    return notes


def _predictions(evaluation: Evaluation, test: pa.Table) -> bytes:
    names = [column.name for column in evaluation.manifest.columns_of(Role.KEY)] + [evaluation.manifest.label.name]
    table, scores = test.select(names), evaluation.model.scores.astype(np.float32)
    if classes := evaluation.bundle.classes:
        table = table.append_column(PREDICTION, pa.array(np.array(classes)[scores.argmax(axis=1)]))
        for position, name in enumerate(classes):
            table = table.append_column(f"{PROBABILITY}_{name}", pa.array(scores[:, position].copy()))
    else:
        table = table.append_column(evaluation.task.output, pa.array(scores))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _summary(evaluation: Evaluation, output: str) -> dict[str, Any]:
    return {
        "metrics": {one.role: {name: found.model_dump(mode="json") for name, found in one.metrics.items()} for one in evaluation.contenders},
        "champion": evaluation.verdict.champion,
        "reasons": evaluation.verdict.reasons,
        "report": storage.join(output, REPORT),
        "test_rows": len(evaluation.labels),
    }


if __name__ == "__main__":
    sys.exit(run_step(work))
