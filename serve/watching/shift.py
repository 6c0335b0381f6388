"""How far two distributions over the same bins lie apart, and how far they lie apart by chance alone."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_SMALLEST = 0.5  # counts below it are taken as this: an empty bin would else be infinitely far away


def stability_index(expected: Array, observed: Array) -> float:
    """Population stability index of two histograms (counts) over the same bins: sum of (q - p) * ln(q / p); 0 = equal.

    By custom 0.1 is a small shift and 0.25 a large one (Siddiqi 2006, Credit Risk Scorecards).
    """
    p, q = (np.maximum(counts, _SMALLEST) for counts in (np.asarray(expected, float), np.asarray(observed, float)))
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def stability_noise(expected_rows: float, observed_rows: float, bins: int, chance: float) -> float:
    """What the stability index of two samples of one distribution exceeds only with probability ``chance``.

    Without a shift it is distributed as (1/n + 1/m) times chi-square with bins - 1 degrees of freedom (Yurdakul and Naranjo 2020,
    Statistical properties of the population stability index).
    """
    if min(expected_rows, observed_rows) <= 0 or bins < 2:
        return math.inf
    return (1 / expected_rows + 1 / observed_rows) * chi_square(bins - 1, chance)


def chi_square(degrees: int, chance: float) -> float:
    """The value that chi-square exceeds with probability ``chance`` (Wilson and Hilferty 1931; off by less than 2 % here)."""
    spread = 2 / (9 * degrees)
    return float(degrees * (1 - spread + NormalDist().inv_cdf(1 - chance) * math.sqrt(spread)) ** 3)


def kolmogorov(chance: float, rows: float) -> float:
    """What the Kolmogorov-Smirnov distance of ``rows`` values from their own distribution exceeds with probability ``chance``.

    Asymptotic: sqrt(ln(2 / chance) / (2 n)) (Massart 1990 shows that it holds for every n).
    """
    return math.sqrt(math.log(2 / chance) / (2 * rows)) if rows > 0 else math.inf
