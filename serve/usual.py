"""A field's usual value: of a number the median of the training data, of a text the most frequent value; null where it is unknown, as of a
private field, or mostly absent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jobs.contracts.bundle import InputField
from jobs.contracts.reference import Histogram, Reference


def usual_values(inputs: Sequence[InputField], reference: Reference | None) -> tuple[Any, ...]:
    """One value for each input, in schema order."""
    known = {each.name: each for each in (reference.columns if reference else ())}
    return tuple(_usual(known[field.name]) if field.name in known else None for field in inputs)


def usual_range(histogram: Histogram) -> tuple[float, float] | None:
    """Of a number: what the lowest and the highest tenth lie beyond; None where that is not known."""
    return (histogram.bounds[0], histogram.bounds[-1]) if len(histogram.bounds) > 1 else None


def _usual(histogram: Histogram) -> Any:
    present = sum(histogram.counts)
    if present <= histogram.nulls or not (histogram.bounds or histogram.values):
        return None
    if histogram.kind == "category":
        return histogram.values[int(np.argmax(histogram.counts[: len(histogram.values)]))]
    place = int(np.searchsorted(np.cumsum(histogram.counts), present / 2))
    return histogram.bounds[min(place, len(histogram.bounds) - 1)]  # bounds are deciles, and the fifth is the median
