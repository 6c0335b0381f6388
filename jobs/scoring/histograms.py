"""Histograms of feature columns and scores: made once from the training data, then counted again over the same bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.contracts.bundle import InputField
from jobs.contracts.reference import Histogram, Reference

BINS = 10  # by deciles, as is customary for the population stability index
MOST_VALUES = 30  # of a text column; the rarer ones share the last bin
SCORES = "probability"


def reference(inputs: Sequence[InputField], columns: Mapping[str, Any], scores: NDArray[np.float32]) -> Reference:
    """``columns``: of the train part, by name; ``scores``: of the validation part. Private inputs and free texts are left out."""
    shown = [each for each in inputs if not each.private and each.kind != "text"]
    made = [(_of_category if each.kind == "category" else _of_number)(each.name, columns[each.name]) for each in shown]
    return Reference(columns=tuple(made), scores=_of_number(SCORES, pa.array(scores)))


def count(histogram: Histogram, column: Any) -> tuple[NDArray[np.int64], int]:
    """(counts over the histogram's bins, nulls) of another column; NaN is null."""
    if histogram.kind == "category":
        found = pc.index_in(column.cast(pa.string()), value_set=pa.array(histogram.values, pa.string()), skip_nulls=True)
        places = pc.fill_null(found, len(histogram.values)).filter(pc.is_valid(column))
        return np.bincount(_plain(places), minlength=len(histogram.counts)), column.null_count
    values = _plain(column.cast(pa.float64()))
    present = values[~np.isnan(values)]
    return np.bincount(np.searchsorted(histogram.bounds, present), minlength=len(histogram.counts)), len(values) - len(present)


def _of_number(name: str, column: Any) -> Histogram:
    """Bounds are the distinct deciles: the counts are exact where many rows share one value."""
    values = _plain(column.cast(pa.float64()))
    present = values[~np.isnan(values)]
    bounds = np.unique(np.quantile(present, np.arange(1, BINS) / BINS, method="inverted_cdf")) if len(present) else np.empty(0)
    bounds = bounds[np.isfinite(bounds)]  # JSON has no infinity
    counts = np.bincount(np.searchsorted(bounds, present), minlength=len(bounds) + 1)
    return Histogram(name=name, kind="number", bounds=tuple(bounds.tolist()), counts=tuple(counts.tolist()), nulls=len(values) - len(present))


def _of_category(name: str, column: Any) -> Histogram:
    found = [(each["values"], each["counts"]) for each in column.cast(pa.string()).value_counts().to_pylist() if each["values"] is not None]
    frequent = sorted(found, key=lambda each: (-each[1], each[0]))[:MOST_VALUES]
    kept = tuple(rows for _, rows in frequent)
    rest = sum(rows for _, rows in found) - sum(kept)
    return Histogram(name=name, kind="category", values=tuple(value for value, _ in frequent), counts=(*kept, rest), nulls=column.null_count)


def _plain(column: Any) -> NDArray[Any]:
    return column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
