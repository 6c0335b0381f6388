"""What the folds say together: means with intervals, two models compared pair by pair, quality against the amount of data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.contracts.bundle import Interval
from jobs.scoring.tasks import LOWER_IS_BETTER
from jobs.steps.crossval_fold import Result
from jobs.steps.crossval_settings import MODEL, OTHER


@dataclass(frozen=True)
class Comparison:
    """``difference``: the model minus the other, with its 95 % interval; ``wins``: folds on which the model is better."""

    difference: Interval
    wins: int
    folds: int

    def verdict(self, metric: str) -> str:
        low, high = self.difference.low, self.difference.high
        if low <= 0 <= high:
            return "no difference shown"
        return "better" if (low > 0) != (metric in LOWER_IS_BETTER) else "worse"


@dataclass(frozen=True)
class Point:
    """Of a learning curve: mean and range over folds at one amount of training rows."""

    share: float
    rows: int
    value: float
    low: float
    high: float


def mean(results: Sequence[Result], metric: str) -> Interval:
    return interval([result.metrics[metric] for result in results], _ratio(results))


def compare(results: Sequence[Result], metric: str) -> Comparison | None:
    """Fold by fold, None without a second model."""
    pairs = {role: {result.fold: result for result in results if result.role == role and result.share == 1} for role in (MODEL, OTHER)}
    folds = sorted(set(pairs[MODEL]) & set(pairs[OTHER]))
    if not folds:
        return None
    differences = [pairs[MODEL][fold].metrics[metric] - pairs[OTHER][fold].metrics[metric] for fold in folds]
    sign = -1 if metric in LOWER_IS_BETTER else 1
    return Comparison(interval(differences, _ratio(list(pairs[MODEL].values()))), sum(sign * each > 0 for each in differences), len(folds))


def learning_curve(results: Sequence[Result], metric: str) -> list[Point]:
    """By rising share; of the folds that were trained at every share."""
    shares = sorted({result.share for result in results if result.role == MODEL})
    of_share = {share: {result.fold: result for result in results if result.role == MODEL and result.share == share} for share in shares}
    folds = set.intersection(*(set(each) for each in of_share.values()))
    points = []
    for share in shares if len(shares) > 1 else ():
        chosen = [of_share[share][fold] for fold in sorted(folds)]
        values = [result.metrics[metric] for result in chosen]
        points.append(Point(share, round(float(np.mean([result.train_rows for result in chosen]))), float(np.mean(values)), min(values), max(values)))
    return points


def interval(values: Sequence[float], ratio: float) -> Interval:
    """Mean and 95 % interval over folds by the corrected t statistic of Nadeau and Bengio (2003).

    Folds share most of their training rows, so that their results are not independent: the variance of the mean is not s²/k but
    (1/k + ``ratio``) s², ``ratio`` = test rows / training rows.
    """
    found = np.asarray(values, float)
    centre = float(found.mean())
    if len(found) < 2:
        return Interval(value=centre, low=centre, high=centre)
    reach = quantile_of_t(len(found) - 1) * float(found.std(ddof=1)) * math.sqrt(1 / len(found) + ratio)
    return Interval(value=centre, low=centre - reach, high=centre + reach)


def quantile_of_t(freedom: int, inside: float = 0.95) -> float:
    """Between minus and plus this lies ``inside`` of Student's t distribution.

    With t = sqrt(n) tan(a) the density becomes cos(a)^(n-1), which is summed up over half a circle.
    """
    angles = np.linspace(0, math.pi / 2, 200_001)
    density = np.cos(angles) ** (freedom - 1)
    below = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return math.sqrt(freedom) * math.tan(float(np.interp(inside, below / below[-1], angles)))


def _ratio(results: Sequence[Result]) -> float:
    return float(np.mean([result.test_rows / result.train_rows for result in results]))
