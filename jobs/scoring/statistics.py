"""Statistics of one column of a published part, for normalising and for detecting drift: exact, whoever computes them.

One column is in memory at a time (8 bytes a row for numbers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.contracts.dataset import Role, Statistics
from jobs.scoring import words

if TYPE_CHECKING:
    import pyarrow.dataset as pads

QUANTILES = ("0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99")
MEASURED = (Role.FEATURE, Role.LABEL, Role.WEIGHT)  # columns that have statistics
MOST_CATEGORIES = 10_000  # values kept per text column, the most frequent first; ties in order of value


def of_column(part: pads.Dataset, name: str, *, text: bool = False) -> Statistics:
    """Statistics of one column of a part; ``text``: of its words. Quantiles interpolate linearly, like Spark's ``percentile``."""
    values = part.to_table(columns=[name]).column(name)
    if text:
        return Statistics(count=len(values), nulls=values.null_count, categories=_words(values))
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return Statistics(count=len(values), nulls=values.null_count, categories=_categories(values))
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return _of_numbers(values)
    return Statistics(count=len(values), nulls=values.null_count)


def _of_numbers(values: pa.ChunkedArray) -> Statistics:
    present: Any = pc.drop_null(values).cast(pa.float64()).to_numpy()
    facts: dict[str, Any] = {"count": len(values), "nulls": values.null_count}
    if present.size:
        quantiles = np.quantile(present, [float(level) for level in QUANTILES], overwrite_input=False)
        facts |= {"mean": float(present.mean()), "min": float(present.min()), "max": float(present.max())}
        facts["std"] = float(present.std(ddof=1)) if present.size > 1 else None
        facts["quantiles"] = {level: float(value) for level, value in zip(QUANTILES, quantiles, strict=True)}
    return Statistics(**facts)


def _categories(values: pa.ChunkedArray) -> dict[str, int]:
    counts = [(entry["values"], entry["counts"]) for entry in pc.value_counts(pc.drop_null(values)).to_pylist()]
    return _most(counts)


def _words(values: pa.ChunkedArray) -> dict[str, int]:
    """In how many rows each word occurs."""
    rows = Counter(word for text in values.to_pylist() if text is not None for word in set(words.split(text)))
    return _most(rows.items())


def _most(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    return dict(sorted(counts, key=lambda pair: (-pair[1], pair[0]))[:MOST_CATEGORIES])
