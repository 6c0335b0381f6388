"""One unit of a cross-validation: a fold's dataset, the train step itself on it, and the bundle that comes out on the rows held out."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from jobs.contracts import dataset as datasets
from jobs.contracts import fingerprint, storage
from jobs.contracts.dataset import Manifest, Role
from jobs.contracts.job import Context, Job
from jobs.scoring.scorer import Scorer
from jobs.scoring.tasks import labels_of
from jobs.steps import crossval_data
from jobs.steps.crossval_settings import MODEL, Settings, Unit

SCORE, LABEL = "score", "label"


class Result(BaseModel):
    """What a unit found out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str = Field(description="fingerprint of the cross-validation")
    role: str
    fold: int
    share: float
    metrics: dict[str, float]
    train_rows: int
    test_rows: int
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Told:
    """What every unit is told; travels to Ray's workers."""

    job: str  # the step's job.json
    settings: Settings
    folds: int
    source: str
    code: str


def run(unit: Unit, told: Told) -> tuple[Result, bytes]:
    """The result, and the held-out rows with their scores as Parquet.

    Errors: what training raises.
    """
    from jobs.steps.train import train  # torch, which the driver does without

    started, job = time.monotonic(), Job.model_validate_json(told.job)
    with TemporaryDirectory(prefix="seatrial-fold-") as folder:
        place = Path(folder)
        manifest = crossval_data.write(told.source, told.settings.parts, unit.fold, told.folds, unit.share, place / "data")
        (place / "step").mkdir()
        places = {"dataset": str(place / "data")}, {"bundle": str(place / "bundle")}
        context = Context(_train_job(job, told.settings, unit), place / "step", *places, code=told.code)
        summary = train(context).summary
        scorer = Scorer(str(place / "bundle"))
        test = datasets.read_part(str(place / "data"), manifest, "test")
        scores = scorer.score(test)
        labels = labels_of(test[manifest.label.name], scorer.bundle.classes)
    result = Result(
        job=job.fingerprint,
        role=unit.role,
        fold=unit.fold,
        share=unit.share,
        metrics=scorer.task.evaluate(labels, scores, threshold=scorer.bundle.threshold),
        train_rows=manifest.split.rows["train"],
        test_rows=len(labels),
        epochs=summary["epochs"],
        seconds=round(time.monotonic() - started, 3),
    )
    return result, _rows(manifest, unit, test, scorer.task.headline(scores))


def _train_job(job: Job, settings: Settings, unit: Unit) -> Job:
    """A train step in one process. The other model has its own parameters, and the seed and the batch of the first."""
    entry, params = job.entry, dict(settings.fixed)
    if unit.role != MODEL and settings.compare:
        shared = {name: value for name, value in settings.fixed.items() if name in ("seed", "batch", "epochs")}
        entry, params = settings.compare.entry, shared | settings.compare.params
    changes: dict[str, Any] = {"kind": "train", "entry": entry, "params": params, "checkpoint": {"every": "never", "keep": 1}, "outputs": ("bundle",)}
    changes["fingerprint"] = fingerprint.of([job.fingerprint, unit.name])
    return job.model_copy(update={**changes, "resources": {**job.resources, "workers": 0}})


def _rows(manifest: Manifest, unit: Unit, test: pa.Table, scores: Any) -> bytes:
    keys = [column.name for column in manifest.columns_of(Role.KEY)]
    table = test.select(keys)
    for name, values in {"role": pa.array([unit.role] * len(test)).dictionary_encode(), "fold": pa.array(np.full(len(test), unit.fold))}.items():
        table = table.append_column(name, values)
    table = table.append_column(LABEL, test[manifest.label.name]).append_column(SCORE, pa.array(scores))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def save(folder: Path, unit: Unit, result: Result, rows: bytes) -> None:
    """The rows first: the result says that the unit is done."""
    storage.write_bytes(str(folder / f"{unit.name}.parquet"), rows)
    storage.write_bytes(str(folder / f"{unit.name}.json"), result.model_dump_json().encode())


def load(folder: Path, unit: Unit, job: str) -> Result | None:
    """What an earlier try of the same job found out, or None."""
    path = folder / f"{unit.name}.json"
    try:
        found = Result.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return None
    return found if found.job == job and (folder / f"{unit.name}.parquet").exists() else None
