"""Split-conformal prediction intervals: as wide as it takes to hold a share of the rows that the model did not learn from.

The promise is kept on average over rows of the same kind (Lei et al. 2018): not for each slice by itself, and not once the data have drifted.
"""

from __future__ import annotations

import math

import numpy as np

from jobs.contracts.errors import InputError
from jobs.scoring.metrics import Array

_ROUNDING = 1e-9  # 0.9 times 10 rows must stay 9 rows


def half_width(labels: Array, values: Array, level: float) -> float:
    """Distance from a predicted value to either end of its interval, in the label's unit.

    Of n labels and predictions, both [n], the distance with the rank ceil((n + 1) level), counted from the smallest.
    Errors: InputError for fewer rows than such a level takes.
    """
    distances = np.sort(np.abs(np.asarray(labels, np.float64) - np.asarray(values, np.float64)))
    rank = math.ceil((len(distances) + 1) * level - _ROUNDING)
    if rank > len(distances):
        least = math.ceil(level / (1 - level) - _ROUNDING)
        raise InputError(
            f"{len(distances):,} validation rows are too few for intervals of {level:.0%}",
            where="params.intervals",
            hint=f"make the validation part at least {least:,} rows large, or lower the level",
        )
    return float(distances[rank - 1])


def covered(labels: Array, values: Array, half_width: float) -> int:
    """How many labels lie within their intervals, ends included."""
    return int(np.count_nonzero(np.abs(np.asarray(labels, np.float64) - np.asarray(values, np.float64)) <= half_width))
