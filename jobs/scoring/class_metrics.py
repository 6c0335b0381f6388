"""Quality of a classifier of several classes: labels are class numbers [n], scores probabilities [n, K].

Like :mod:`jobs.scoring.metrics`: a bootstrap sample is a weight per row, never a copy of the rows.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from jobs.contracts.errors import InputError, RunError
from jobs.scoring.metrics import Array, Floats, bin_of, dot

TITLES = {"accuracy": "Accuracy", "macro_f1": "Macro F1", "log_loss": "Log loss", "calibration_error": "Calibration error"}
LOWER_IS_BETTER = frozenset({"log_loss", "calibration_error"})
_LEAST = 1e-12  # a probability of 0 for what happened would cost infinitely much


def checked(labels: Array, scores: Array) -> tuple[Array, Floats]:
    """Class numbers int64 [n] and probabilities float64 [n, K].

    Errors: InputError for no rows or labels that are no class; RunError for scores that are not finite.
    """
    numbers, scores = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if len(numbers) == 0 or scores.ndim != 2 or not np.isin(numbers, np.arange(scores.shape[1])).all():
        raise InputError("metrics of classes need at least one row and labels that are class numbers", hint="check the label column of the dataset")
    if bad := int(np.count_nonzero(~np.isfinite(scores).all(axis=1))):
        raise RunError(f"the model gave {bad:,} of {len(scores):,} rows a score that is not a number", hint="train again; look for diverging loss in the log")
    return numbers.astype(np.int64), scores


def correct(labels: Array, scores: Array) -> Floats:
    """1 where the likeliest class is the right one, else 0; float64 [n]."""
    return (np.asarray(scores).argmax(axis=1) == np.asarray(labels)).astype(np.float64)


def measure(labels: Array, scores: Array, threshold: float, weightings: Iterable[Floats]) -> dict[str, Floats]:
    """All of :data:`TITLES` for every row of every block of weights [s, n]; ``threshold`` is not used.

    Macro F1 is the mean over the classes that occur among the labels; calibration is that of the likeliest class.
    """
    numbers, scores = checked(labels, scores)
    said, hit = scores.argmax(axis=1), correct(numbers, scores)
    confidence = scores.max(axis=1)
    lost = -np.log(np.maximum(scores[np.arange(len(numbers)), numbers], _LEAST))
    occurring = np.unique(numbers)
    real, named = (numbers == occurring[:, None]).astype(np.float64), (said == occurring[:, None]).astype(np.float64)  # [k, n]
    order = np.argsort(bin_of(confidence), kind="stable")
    starts = np.flatnonzero(np.diff(bin_of(confidence)[order], prepend=-1))
    blocks = []
    for weights in weightings:
        rows = weights.sum(axis=1)
        found, there, flagged = (np.einsum("sn,kn->sk", weights, chosen) for chosen in (real * named, real, named))
        f1 = 2 * found / np.maximum(there + flagged, 1.0)
        present = there > 0
        gaps = np.abs(np.add.reduceat((weights * (hit - confidence))[:, order], starts, axis=1)).sum(axis=1)
        blocks.append((dot(weights, hit) / rows, (f1 * present).sum(axis=1) / present.sum(axis=1), dot(weights, lost) / rows, gaps / rows))
    return {name: np.concatenate(values) for name, values in zip(TITLES, zip(*blocks, strict=True), strict=True)}
