"""Temperature: one number that divides a classifier's logits, so that its probabilities can be taken at their word (Guo et al. 2017).

Above 1 it makes a model less sure, below 1 surer. It never changes which of two rows, or which of two classes, comes first.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from jobs.contracts.errors import RunError
from jobs.scoring.metrics import Array, Floats

HIGHEST = 20.0  # and 1 / 20 the lowest
_HALVINGS = 24  # of the range between the two, on a logarithmic scale: the temperature is then known to six digits
_DIGITS = 6
_LEAST = 1e-38  # about the smallest of float32; a probability of 0 has no logarithm


def fitted(logits: Array, labels: Array) -> float:
    """The temperature with the least negative log-likelihood, between 1 / :data:`HIGHEST` and :data:`HIGHEST`.

    ``logits`` [n] with labels 0 and 1, or [n, K] with class numbers. The loss is convex in 1 / temperature, so that its slope changes
    sign once, and halving finds where: equal rows give equal temperatures. Labels count as Platt (1999) has it: n rows without a mistake
    do not prove that there are none, so that each is taken for the likeliest other class with probability 1 / (n + 2). Without that, rows which the
    model separates perfectly would ask for a temperature of 0.
    Errors: RunError for logits that are not finite.
    """
    logits = _two_classes(np.zeros(len(logits)), logits) if np.ndim(logits) == 1 else np.asarray(logits, np.float64)
    if bad := int(np.count_nonzero(~np.isfinite(logits).all(axis=1))):
        raise RunError(f"the model gave {bad:,} of {len(logits):,} rows a logit that is not a number", hint="train again; look for diverging loss in the log")
    logits = logits - logits.max(axis=1, keepdims=True)
    seen = _observed(logits, np.asarray(labels, np.int64))
    low, high = -math.log(HIGHEST), math.log(HIGHEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        surer = _expected(logits, math.exp(-middle)) < seen  # the loss still falls as the temperature does
        low, high = (low, middle) if surer else (middle, high)
    return round(math.exp((low + high) / 2), _DIGITS)


def undone(scores: Array, temperature: float) -> Floats:
    """Probabilities [n] or [n, K] as the same model would give them without its temperature.

    From float32 probabilities, so that one of two classes above 1 - 1e-7 comes back only roughly.
    """
    scores = np.asarray(scores, np.float64)
    chances = _two_classes(1 - scores, scores) if scores.ndim == 1 else scores
    logits = temperature * np.log(np.maximum(chances, _LEAST))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Floats = powers / powers.sum(axis=1, keepdims=True)
    return found[:, 1] if scores.ndim == 1 else found


def _observed(logits: Floats, labels: NDArray[np.int64]) -> float:
    """Mean logit of what happened; see :func:`fitted` for the doubt about it."""
    rows = np.arange(len(labels))
    own, others, doubt = logits[rows, labels], logits.copy(), 1 / (len(labels) + 2)
    others[rows, labels] = -np.inf
    return float(((1 - doubt) * own + doubt * others.max(axis=1)).mean())


def _expected(logits: Floats, sharpness: float) -> float:
    """Mean logit under the model's own probabilities at 1 / temperature = ``sharpness``; less what was observed it is the loss's slope."""
    powers = np.exp(sharpness * logits)
    return float(((powers * logits).sum(axis=1) / powers.sum(axis=1)).mean())


def _two_classes(no: Array, yes: Array) -> Floats:
    return np.stack([np.asarray(no, np.float64), np.asarray(yes, np.float64)], axis=1)
