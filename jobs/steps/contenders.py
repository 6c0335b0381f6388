"""The models that one evaluation compares, each scored on the same test rows with the same bootstrap draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs.contracts.bundle import Bundle, Interval
from jobs.contracts.dataset import Manifest, Role, is_text
from jobs.scoring import calibration
from jobs.scoring.metrics import Floats
from jobs.scoring.scorer import Scorer
from jobs.scoring.tasks import TASKS, Task

MODEL, BASELINE, CHAMPION = "model", "baseline", "champion"
UNCALIBRATED = "uncalibrated"  # the model without its temperature: shown beside it, and compared with nothing
CONSTANT = "always the training rate"  # the baseline of an evaluation that was given none; a rate per class, or a mean


@dataclass(frozen=True)
class Contender:
    """One model on the test rows: ``scores`` float64 [n] (of classes [n, K]), ``draws`` per metric float64 [samples]."""

    role: str
    name: str
    threshold: float
    scores: Floats
    metrics: dict[str, Interval]
    draws: dict[str, Floats]
    fingerprint: str = ""
    dataset: str = ""  # fingerprint of what it was trained on


def judge(role: str, scorer: Scorer, test: pa.Table, labels: Floats, *, samples: int, seed: int) -> Contender:
    """Score ``test`` and measure it against ``labels`` at the bundle's own threshold."""
    bundle = scorer.bundle
    scores = scorer.score(test).astype(np.float64)
    return _measured(scorer.task, role, bundle.name, bundle.threshold, scores, labels, samples, seed, scorer.fingerprint, bundle.dataset)


def constant(rate: float | Floats, labels: Floats, *, samples: int, seed: int, task: Task = TASKS["binary"]) -> Contender:
    """A baseline that answers ``rate`` (one number, or one per class) to everything and flags every row: what knowing nothing is worth."""
    scores = np.tile(rate, (len(labels), 1)) if np.ndim(rate) else np.full(len(labels), rate)
    return _measured(task, BASELINE, CONSTANT, 0.0 if np.ndim(rate) else float(rate), scores, labels, samples, seed)


def uncalibrated(bundle: Bundle, model: Contender, labels: Floats, *, task: Task, samples: int, seed: int) -> Contender | None:
    """The model as it was before its temperature, with the same decisions; None for a bundle that has none."""
    if bundle.temperature == 1:
        return None
    threshold = float(calibration.undone(np.array([model.threshold]), bundle.temperature)[0]) if task.name == "binary" else model.threshold
    scores = calibration.undone(model.scores, bundle.temperature)
    return _measured(task, UNCALIBRATED, model.name, threshold, scores, labels, samples, seed, model.fingerprint, model.dataset)


def missing_inputs(bundle: Bundle, manifest: Manifest) -> list[str]:
    """Inputs of the bundle that are no feature of this dataset, or a feature of another kind."""
    kinds = {column.name: "text" if column.text else "category" if is_text(column) else "number" for column in manifest.columns_of(Role.FEATURE)}
    return [field.name for field in bundle.inputs if kinds.get(field.name) != field.kind]


def _measured(
    task: Task, role: str, name: str, threshold: float, scores: Floats, labels: Floats, samples: int, seed: int, fingerprint: str = "", dataset: str = ""
) -> Contender:
    values = task.evaluate(labels, scores, threshold=threshold)
    draws = task.resample(labels, scores, threshold=threshold, samples=samples, seed=seed)
    intervals = {metric: task.interval(metric, values[metric], draws[metric]) for metric in task.titles}
    return Contender(role, name, threshold, scores, intervals, draws, fingerprint, dataset)
