"""The models that one evaluation compares, each scored on the same test rows with the same bootstrap draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs.contracts.bundle import Bundle, Interval
from jobs.contracts.dataset import Manifest, Role, is_text
from jobs.scoring.scorer import Scorer
from jobs.steps import metrics
from jobs.steps.metrics import Floats

MODEL, BASELINE, CHAMPION = "model", "baseline", "champion"
CONSTANT = "always the training rate"  # the baseline of an evaluation that was given none


@dataclass(frozen=True)
class Contender:
    """One model on the test rows: ``scores`` float64 [n], ``draws`` per metric float64 [samples]."""

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
    return _measured(role, bundle.name, bundle.threshold, scores, labels, samples, seed, scorer.fingerprint, bundle.dataset)


def constant(rate: float, labels: Floats, *, samples: int, seed: int) -> Contender:
    """A baseline that answers ``rate`` to everything and flags every row: what knowing nothing is worth."""
    return _measured(BASELINE, CONSTANT, rate, np.full(len(labels), rate), labels, samples, seed)


def missing_inputs(bundle: Bundle, manifest: Manifest) -> list[str]:
    """Inputs of the bundle that are no feature of this dataset, or a feature of another kind."""
    kinds = {column.name: "category" if is_text(column) else "number" for column in manifest.columns_of(Role.FEATURE)}
    return [field.name for field in bundle.inputs if kinds.get(field.name) != field.kind]


def _measured(
    role: str, name: str, threshold: float, scores: Floats, labels: Floats, samples: int, seed: int, fingerprint: str = "", dataset: str = ""
) -> Contender:
    values = metrics.evaluate(labels, scores, threshold=threshold)
    draws = metrics.resample(labels, scores, threshold=threshold, samples=samples, seed=seed)
    intervals = {metric: metrics.interval(values[metric], draws[metric]) for metric in metrics.METRICS}
    return Contender(role, name, threshold, scores, intervals, draws, fingerprint, dataset)
