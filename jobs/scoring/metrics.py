"""Quality of a binary classifier in numpy alone: labels 0/1 of shape [n], probabilities of shape [n], results in [0, 1].

Every metric that depends on the order of the scores is computed from one descending sort (:class:`Ranking`). A bootstrap
sample is then a weight per row (how often the row was drawn), never a copy of the rows, so that 200 samples of 28,000
rows take a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.contracts.bundle import Interval
from jobs.contracts.errors import InputError, RunError

BINS = 15  # calibration bins, as in Guo et al. 2017
LOWER_IS_BETTER = frozenset({"brier", "calibration_error"})
TITLES = {"roc_auc": "ROC AUC", "average_precision": "PR AUC", "brier": "Brier score", "calibration_error": "Calibration error", "f1": "F1"}
METRICS = tuple(TITLES)
_BLOCK = 1 << 15  # weights held at a time, 256 KiB: measured fastest, the next sizes leave the cache

Array = NDArray[Any]
Floats = NDArray[np.float64]


class Ranking:
    """Rows in descending order of score; rows of equal score form one group, so ties never depend on the order of rows.

    ``distinct`` [g] holds the scores from high to low; ``cumulative`` counts what lies at or above each of them.
    """

    def __init__(self, labels: Array, scores: Array) -> None:
        self.labels, self.scores = checked(labels, scores)
        self.order = np.argsort(-self.scores, kind="stable")
        ordered, self._positive = self.scores[self.order], self.labels[self.order]
        self._ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
        self.distinct = ordered[self._ends]

    def cumulative(self, weights: Array | None = None) -> tuple[Floats, Floats]:
        """(positives, negatives) at or above each distinct score, float64 [..., g] each; ``weights`` [..., n] in descending order of score."""
        weights = np.ones(len(self.order)) if weights is None else weights
        hits, total = (np.cumsum(counted, axis=-1)[..., self._ends] for counted in (weights * self._positive, weights))
        return hits, total - hits


def checked(labels: Array, scores: Array) -> tuple[Floats, Floats]:
    """Both as float64 [n].

    Errors: InputError for no rows or labels other than 0 and 1; RunError for scores that are not finite.
    """
    labels, scores = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if len(labels) == 0 or not np.isin(labels, (0.0, 1.0)).all():
        raise InputError("binary metrics need at least one row and labels 0 or 1", hint="check the label column of the dataset")
    if bad := int(np.count_nonzero(~np.isfinite(scores))):
        raise RunError(
            f"the model gave {bad:,} of {len(scores):,} rows a score that is not a number",
            hint="train again; look for diverging loss in the run's metrics.jsonl",
        )
    return labels, scores


def both_classes(labels: Array) -> bool:
    """Whether ranking metrics are defined: at least one positive and one negative row."""
    return bool(0 < np.count_nonzero(labels) < len(labels))


def roc_auc(labels: Array, scores: Array) -> float:
    """Chance that a random positive scores above a random negative, ties half (Hanley and McNeil 1982); 0.5 = guessing."""
    need_both(labels)
    return float(_roc_auc(*Ranking(labels, scores).cumulative()))


def average_precision(labels: Array, scores: Array) -> float:
    """Area under the precision-recall curve as a step function: the sum of precision times gain in recall (scikit-learn's)."""
    need_both(labels)
    return float(_average_precision(*Ranking(labels, scores).cumulative()))


def brier(labels: Array, scores: Array) -> float:
    """Mean squared distance between probability and outcome (Brier 1950); lower is better."""
    labels, scores = checked(labels, scores)
    return float(np.mean((scores - labels) ** 2))


def calibration_error(labels: Array, scores: Array, bins: int = BINS) -> float:
    """Expected calibration error: |observed rate - mean probability| per bin, averaged by rows (Naeini et al. 2015).

    Bins are of equal width (Guo et al. 2017), so that they are the same for every model and every bootstrap sample.
    """
    labels, scores = checked(labels, scores)
    return float(np.abs(np.bincount(bin_of(scores, bins), labels - scores)).sum() / len(labels))


def f1_at(labels: Array, scores: Array, threshold: float) -> float:
    """Harmonic mean of precision and recall of ``score >= threshold``; 0 when nothing positive is found."""
    ranking = Ranking(labels, scores)
    return float(_f1(*ranking.cumulative(), _flagged(ranking, threshold)))


def best_f1_threshold(labels: Array, scores: Array) -> float:
    """The threshold of the highest F1, halfway to the next lower score, so that rounding cannot flip a row.

    Choose it on the validation part; on the test part it would flatter the model.
    """
    ranking = Ranking(labels, scores)
    hits, misses = ranking.cumulative()
    best = int(np.argmax(2 * hits / (hits + misses + np.maximum(hits[-1], 1))))
    return float(ranking.distinct[best : best + 2].mean())


def bin_of(scores: Array, bins: int = BINS) -> NDArray[np.int64]:
    """Index of each score's equal-width bin over [0, 1]."""
    return np.clip((scores * bins).astype(np.int64), 0, bins - 1)


def evaluate(labels: Array, scores: Array, *, threshold: float) -> dict[str, float]:
    """All of :data:`METRICS` for these rows."""
    need_both(labels)
    return {name: float(values[0]) for name, values in measure(labels, scores, threshold, [np.ones((1, len(labels)))]).items()}


def resample(labels: Array, scores: Array, *, threshold: float, samples: int = 200, seed: int = 0) -> dict[str, Floats]:
    """All of :data:`METRICS` on ``samples`` bootstrap samples; float64 [samples] each.

    Equal ``seed`` and row count draw equal rows: the difference of two models' results is their *paired* bootstrap.
    A sample without both classes gives NaN for the ranking metrics.
    """
    return measure(labels, scores, threshold, draws(len(labels), samples, seed))


def bootstrap(labels: Array, scores: Array, *, threshold: float, samples: int = 200, seed: int = 0) -> dict[str, Interval]:
    """All of :data:`METRICS` with their 95 % intervals.

    Errors: InputError when the rows lack one of the two classes.
    """
    values = evaluate(labels, scores, threshold=threshold)
    drawn = resample(labels, scores, threshold=threshold, samples=samples, seed=seed)
    return {name: interval(values[name], drawn[name]) for name in METRICS}


def interval(value: float, drawn: Floats, bounds: tuple[float, float] = (0.0, 1.0)) -> Interval:
    """Percentile interval (Efron 1981), shifted by the bootstrap's estimate of bias.

    The shift matters for the calibration error alone: it sums absolute gaps, which resampling noise inflates, and the
    plain percentiles of a well calibrated model would lie above its own value.
    """
    low, high = np.nanquantile(drawn, [0.025, 0.975]) - (np.nanmean(drawn) - value)
    return Interval(value=value, low=float(np.clip(low, *bounds)), high=float(np.clip(high, *bounds)))


def draws(rows: int, samples: int, seed: int) -> Iterator[Floats]:
    """How often each row is drawn, as blocks [s, rows] small enough for a processor's cache."""
    random, block = np.random.default_rng(seed), max(1, _BLOCK // rows)
    for start in range(0, samples, block):
        size = min(block, samples - start)
        drawn = random.integers(0, rows, (size, rows), dtype=np.int32) + rows * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * rows).reshape(size, rows).astype(np.float64)


def measure(labels: Array, scores: Array, threshold: float, weightings: Iterable[Floats]) -> dict[str, Floats]:
    """All metrics for every row of every block of weights [s, n]."""
    ranking = Ranking(labels, scores)
    errors = (ranking.labels - ranking.scores)[ranking.order]
    bins, flagged = bin_of(ranking.scores[ranking.order]), _flagged(ranking, threshold)
    starts = np.flatnonzero(np.diff(bins, prepend=-1))  # scores are in order, so each bin is one stretch of rows
    blocks = []
    for drawn in weightings:
        weights = drawn[:, ranking.order]
        hits, misses = ranking.cumulative(weights)
        rows, missed = weights.sum(axis=1), weights * errors
        calibration, squared = np.abs(np.add.reduceat(missed, starts, axis=1)).sum(axis=1) / rows, dot(missed, errors) / rows
        blocks.append((_roc_auc(hits, misses), _average_precision(hits, misses), squared, calibration, _f1(hits, misses, flagged)))
    return {name: np.concatenate(values) for name, values in zip(METRICS, zip(*blocks, strict=True), strict=True)}


def dot(left: Floats, right: Floats) -> Floats:
    """Row by row, without BLAS: its threads wait for each other on a busy machine, measured ten times slower there."""
    return np.einsum("...i,...i->...", left, right)  # type: ignore[no-any-return]


def _flagged(ranking: Ranking, threshold: float) -> int:
    """How many distinct scores reach the threshold."""
    return int(np.count_nonzero(ranking.distinct >= threshold))


def _roc_auc(hits: Floats, misses: Floats) -> Floats:
    """Trapezoids: a negative loses to every positive above it, and half to those it ties with; NaN without both classes."""
    pairs = hits[..., -1] * misses[..., -1]
    above = hits - np.diff(hits, prepend=0.0) / 2
    return np.where(pairs > 0, dot(np.diff(misses, prepend=0.0), above) / np.maximum(pairs, 1.0), np.nan)


def _average_precision(hits: Floats, misses: Floats) -> Floats:
    precision = hits / np.maximum(hits + misses, 1.0)  # 0 while no row is drawn: nothing is gained there, so any number does
    return np.where(hits[..., -1] > 0, dot(np.diff(hits, prepend=0.0), precision) / np.maximum(hits[..., -1], 1.0), np.nan)


def _f1(hits: Floats, misses: Floats, flagged: int) -> Floats:
    """Of the ``flagged`` highest distinct scores: 2 TP / (TP + FP + positives)."""
    if flagged == 0:
        return np.zeros(hits.shape[:-1])
    found, wrong = hits[..., flagged - 1], misses[..., flagged - 1]
    return 2 * found / np.maximum(found + wrong + hits[..., -1], 1.0)  # type: ignore[no-any-return]


def need_both(labels: Array) -> None:
    if not both_classes(labels):
        raise InputError("these rows have only one label value, and ranking needs both", hint="evaluate on more rows, or check the label column and the split")
