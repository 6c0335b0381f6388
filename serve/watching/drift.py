"""Is live traffic still like the training data? Each column, and the scores, against the bundle's ``reference.json``.

A column has drifted where a distance is both large enough to matter and larger than what samples of this size show by chance: a
handful of rows never raises an alarm, and a million rows raise none for a difference that is only significant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.contracts.reference import Histogram, Reference
from jobs.scoring import histograms
from serve.rollout.pace import resting
from serve.watching.shift import kolmogorov, stability_index, stability_noise

PSI_LIMIT = 0.2  # population stability index from which a shift matters: between the customary 0.1 (small) and 0.25 (large)
KS_LIMIT = 0.1  # Kolmogorov-Smirnov distance: a tenth of all rows lie elsewhere
CHANCE = 0.001  # of one false alarm in a report, over all columns together


@dataclass(frozen=True)
class ColumnDrift:
    """``expected`` and ``observed``: share of each bin, nulls last."""

    name: str
    kind: str
    rows: int
    psi: float
    psi_by_chance: float  # what equal distributions exceed in one of CHANCE / columns cases, at this number of rows
    ks: float | None  # None for a text column, which has no order
    ks_by_chance: float | None
    unseen: float  # share of values that the training data did not have, of a text column
    drifted: bool
    bins: tuple[str, ...]
    expected: tuple[float, ...]
    observed: tuple[float, ...]


@dataclass
class Counts:
    """What was seen of one version's traffic, over the bins of its reference."""

    reference: Reference
    rows: int = 0
    columns: dict[str, NDArray[np.int64]] = field(default_factory=dict)  # counts, nulls last
    scores: NDArray[np.int64] | None = None

    def add(self, columns: Mapping[str, Any], probabilities: Any) -> None:
        """``columns``: Arrow arrays by name, of which the reference's are counted; ``probabilities``: an Arrow array."""
        for histogram in resting(self.reference.columns):
            if histogram.name in columns:
                self.columns[histogram.name] = self.columns.get(histogram.name, 0) + _with_nulls(histogram, columns[histogram.name])
        self.scores = (0 if self.scores is None else self.scores) + _with_nulls(self.reference.scores, probabilities)
        self.rows += len(probabilities)

    def __add__(self, other: Counts) -> Counts:
        """Of the same reference."""
        columns: dict[str, Any] = {name: self.columns.get(name, 0) + other.columns.get(name, 0) for name in {**self.columns, **other.columns}}
        scores = self.scores if other.scores is None else other.scores if self.scores is None else self.scores + other.scores
        return Counts(self.reference, self.rows + other.rows, columns, scores)


def measure(counts: Counts, *, psi_limit: float = PSI_LIMIT, ks_limit: float = KS_LIMIT) -> list[ColumnDrift]:
    """The scores first, then every column that was seen, in the bundle's order."""
    seen = [(each, counts.columns[each.name]) for each in counts.reference.columns if each.name in counts.columns]
    if counts.scores is not None:
        seen.insert(0, (counts.reference.scores, counts.scores))
    return [_compare(histogram, found, psi_limit, ks_limit, CHANCE / max(1, len(seen))) for histogram, found in resting(seen)]


def drifted(found: Sequence[ColumnDrift]) -> list[str]:
    return [each.name for each in found if each.drifted]


def _with_nulls(histogram: Histogram, column: Any) -> NDArray[np.int64]:
    counts, nulls = histograms.count(histogram, column)
    return np.append(counts, nulls)


def _compare(histogram: Histogram, observed: NDArray[np.int64], psi_limit: float, ks_limit: float, chance: float) -> ColumnDrift:
    expected = np.append(histogram.counts, histogram.nulls).astype(np.float64)
    rows, base = int(observed.sum()), float(expected.sum())
    used = int(np.count_nonzero(expected + observed))
    psi, noise = stability_index(expected, observed), stability_noise(base, rows, used, chance)
    ks, ks_noise = _distance(histogram, observed, chance)
    is_large = psi > max(psi_limit, noise) or (ks is not None and ks_noise is not None and ks > max(ks_limit, ks_noise))
    unseen = float(observed[-2] / rows) if histogram.kind == "category" and rows and not histogram.counts[-1] else 0.0
    shares = [tuple((each / max(1.0, each.sum())).round(5).tolist()) for each in (expected, observed.astype(np.float64))]
    bins = (*_bins(histogram), "null")
    return ColumnDrift(histogram.name, histogram.kind, rows, psi, noise, ks, ks_noise, unseen, bool(rows) and is_large, bins, *shares)


def _distance(histogram: Histogram, observed: NDArray[np.int64], chance: float) -> tuple[float | None, float | None]:
    """Kolmogorov-Smirnov at the reference's bounds (a lower bound of the distance over all values), and what chance explains."""
    expected, seen = np.asarray(histogram.counts, np.float64), observed[:-1].astype(np.float64)
    if histogram.kind == "category" or not expected.sum() or not seen.sum():
        return None, None
    gap = float(np.abs(np.cumsum(seen) / seen.sum() - np.cumsum(expected) / expected.sum()).max())
    return gap, kolmogorov(chance, expected.sum() * seen.sum() / (expected.sum() + seen.sum()))


def _bins(histogram: Histogram) -> tuple[str, ...]:
    if histogram.kind == "category":
        return (*histogram.values, "other")
    bounds = [f"{bound:.4g}" for bound in histogram.bounds]
    return (*(f"≤ {bound}" for bound in bounds), f"> {bounds[-1]}" if bounds else "all")


def finite(value: float | None) -> float | None:
    """For JSON, which has no infinity: None where there are too few rows to say anything."""
    return None if value is None or not math.isfinite(value) else round(value, 5)
