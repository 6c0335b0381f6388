"""Permutation importance (Breiman 2001, Fisher et al. 2019): how much quality is lost when one feature is shuffled.

Quality is the task's first metric: ROC AUC, accuracy, or the RMSE.

Shuffling keeps a column's values and breaks its tie to the row. Correlated features share the credit: each can look
unimportant because the others still tell its story.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel

from jobs.scoring import metrics
from jobs.scoring.encode import Encoder
from jobs.scoring.metrics import Floats
from jobs.scoring.scorer import Scorer

ROWS, REPEATS = 3_000, 3  # bounds the cost: features x REPEATS passes over at most ROWS rows


class Importance(BaseModel):
    """Quality lost, over the repeats; a value around 0 means the model does not use the feature."""

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
    if scorer.task.name == "binary" and not metrics.both_classes(labels):
        return []
    tensors = scorer.encoder.encode(dict(zip(sample.column_names, sample.columns, strict=True)), len(rows))
    best = _quality(scorer, tensors, labels)
    shuffles = [random.permutation(len(rows)) for _ in range(REPEATS)]
    found = []
    for tensor, place, name in _places(scorer.encoder):
        falls = [best - _shuffled(scorer, tensors, tensors[tensor][:, place], shuffle, labels) for shuffle in shuffles]
        found.append(Importance(feature=name, mean=float(np.mean(falls)), low=min(falls), high=max(falls)))
    return sorted(found, key=lambda one: -one.mean)


def _places(encoder: Encoder) -> Iterator[tuple[int, slice, str]]:
    """(tensor, columns of it, feature); all words of a text are one feature."""
    start = len(encoder.categorical)
    yield from ((0, slice(position, position + 1), name) for position, name in enumerate(encoder.categorical))
    for name, tokenizer in encoder.texts.items():
        yield 0, slice(start, start + tokenizer.length), name
        start += tokenizer.length
    yield from ((1, slice(position, position + 1), name) for position, name in enumerate(encoder.numeric))


def _quality(scorer: Scorer, tensors: tuple[NDArray[np.int64], NDArray[np.float32]], labels: Floats) -> float:
    scores, metric = scorer.score_tensors(*tensors), scorer.task.primary
    if scorer.task.name == "binary":  # alone, which is quicker than all metrics together
        return metrics.roc_auc(labels, scores)
    return scorer.task.better(metric) * scorer.task.evaluate(labels, scores, threshold=0.0)[metric]


def _shuffled(
    scorer: Scorer, tensors: tuple[NDArray[np.int64], NDArray[np.float32]], column: NDArray[Any], shuffle: NDArray[np.int64], labels: Floats
) -> float:
    """Quality with one feature's columns (a view into ``tensors``) shuffled; they are put back afterwards, so that no tensor is copied."""
    kept = column.copy()
    column[:] = kept[shuffle]
    try:
        return _quality(scorer, tensors, labels)
    finally:
        column[:] = kept
