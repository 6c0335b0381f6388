"""Quality of predicted numbers: labels and scores [n] in the label's unit."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from jobs.contracts.errors import InputError, RunError
from jobs.scoring.metrics import Array, Floats, dot

TITLES = {"rmse": "RMSE", "mae": "MAE", "r2": "R²"}
LOWER_IS_BETTER = frozenset({"rmse", "mae"})


def checked(labels: Array, scores: Array) -> tuple[Floats, Floats]:
    """Both as float64 [n].

    Errors: InputError for no rows or labels that are no numbers; RunError for scores that are not finite.
    """
    labels, scores = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if len(labels) == 0 or not np.isfinite(labels).all():
        raise InputError("metrics of numbers need at least one row and labels that are numbers", hint="check the label column of the dataset")
    if bad := int(np.count_nonzero(~np.isfinite(scores))):
        raise RunError(f"the model gave {bad:,} of {len(scores):,} rows a value that is no number", hint="train again; look for diverging loss in the log")
    return labels, scores


def measure(labels: Array, scores: Array, threshold: float, weightings: Iterable[Floats]) -> dict[str, Floats]:
    """All of :data:`TITLES` for every row of every block of weights [s, n]; ``threshold`` is not used.

    R² is 1 - squared errors / squared distances from the sample's own mean; NaN where all labels of a sample are equal.
    """
    labels, scores = checked(labels, scores)
    centre = labels.mean()  # around it the squares stay small, so that nothing cancels
    around, errors = labels - centre, scores - labels
    absolute, squared = np.abs(errors), errors * errors
    blocks = []
    for weights in weightings:
        rows, lost = weights.sum(axis=1), dot(weights, squared)
        spread = dot(weights, around * around) - dot(weights, around) ** 2 / rows
        share = np.where(spread > 0, 1 - lost / np.where(spread > 0, spread, 1.0), np.nan)
        blocks.append((np.sqrt(lost / rows), dot(weights, absolute) / rows, share))
    return {name: np.concatenate(values) for name, values in zip(TITLES, zip(*blocks, strict=True), strict=True)}
