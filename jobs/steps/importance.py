"""Permutation importance (Breiman 2001, Fisher et al. 2019): how much ROC AUC falls when one feature is shuffled.

Shuffling keeps a column's values and breaks its tie to the row. Correlated features share the credit: each can look
unimportant because the others still tell its story.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel

from jobs.scoring.scorer import Scorer
from jobs.steps import metrics
from jobs.steps.metrics import Floats

ROWS, REPEATS = 3_000, 3  # bounds the cost: features x REPEATS passes over at most ROWS rows


class Importance(BaseModel):
    """Fall of ROC AUC over the repeats; a value around 0 means the model does not use the feature."""

    feature: str
    mean: float
    low: float
    high: float


def permute(scorer: Scorer, test: pa.Table, labels: Floats, *, seed: int = 0) -> list[Importance]:
    """One per raw feature, most important first; on a random sample of the test rows.

    The shuffling happens in the encoded tensors, which is the same as in the raw columns and encodes only once.
    """
    random = np.random.default_rng(seed)
    rows = np.sort(random.permutation(len(labels))[:ROWS])
    labels, sample = labels[rows], test.take(pa.array(rows))
    if not metrics.both_classes(labels):
        return []
    tensors = scorer.encoder.encode(dict(zip(sample.column_names, sample.columns, strict=True)), len(rows))
    best = metrics.roc_auc(labels, scorer.score_tensors(*tensors))
    shuffles = [random.permutation(len(rows)) for _ in range(REPEATS)]
    columns = [(0, position, name) for position, name in enumerate(scorer.encoder.categorical)]
    columns += [(1, position, name) for position, name in enumerate(scorer.encoder.numeric)]
    found = []
    for tensor, position, name in columns:
        falls = [best - _shuffled(scorer, tensors, tensors[tensor][:, position], shuffle, labels) for shuffle in shuffles]
        found.append(Importance(feature=name, mean=float(np.mean(falls)), low=min(falls), high=max(falls)))
    return sorted(found, key=lambda one: -one.mean)


def _shuffled(
    scorer: Scorer, tensors: tuple[NDArray[np.int64], NDArray[np.float32]], column: NDArray[Any], shuffle: NDArray[np.int64], labels: Floats
) -> float:
    """ROC AUC with one column (a view into ``tensors``) shuffled; it is put back afterwards, so that no tensor is copied."""
    kept = column.copy()
    column[:] = kept[shuffle]
    try:
        return metrics.roc_auc(labels, scorer.score_tensors(*tensors))
    finally:
        column[:] = kept
