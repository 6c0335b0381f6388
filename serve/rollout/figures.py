"""What one version did: counts and two histograms, which add up over replicas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Seconds: each bound is a quarter above the last, so a quantile is known to 12 %; the last bucket holds what is slower than 20 s.
BOUNDS: NDArray[Any] = 50e-6 * 1.25 ** np.arange(58)
# Scores by their log-odds, because the interesting ones crowd at 0 or 1: 24 bins between odds of 1 to 400 and 400 to 1.
SCORES: NDArray[Any] = 1 / (1 + np.exp(-np.linspace(-6, 6, 23)))


@dataclass
class Figures:
    """``requests`` and ``failed`` count requests; ``scores`` counts rows."""

    requests: int = 0
    failed: int = 0  # of them: every answer of class 4xx or 5xx
    latencies: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(BOUNDS) + 1, np.int64))
    scores: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(SCORES) + 1, np.int64))
    score_sum: float = 0.0

    def add(self, seconds: NDArray[np.float64], failed: NDArray[np.bool_], probabilities: NDArray[np.float32]) -> None:
        """``seconds`` and ``failed`` [requests], ``probabilities`` [rows] of those that were answered."""
        self.requests += len(failed)
        self.failed += int(np.count_nonzero(failed))
        self.latencies += np.bincount(np.searchsorted(BOUNDS, seconds), minlength=len(self.latencies))
        self.scores += np.bincount(np.searchsorted(SCORES, probabilities), minlength=len(self.scores))
        self.score_sum += float(probabilities.sum(dtype=np.float64))

    def __add__(self, other: Figures) -> Figures:
        total: dict[str, Any] = {name: getattr(self, name) + getattr(other, name) for name in _FIELDS}
        return Figures(**total)

    @property
    def timed(self) -> int:
        return int(self.latencies.sum())

    @property
    def rows(self) -> int:
        return int(self.scores.sum())

    @property
    def failure_rate(self) -> float:
        return self.failed / self.requests if self.requests else 0.0

    def quantile(self, share: float) -> float:
        """Seconds: the upper bound of the bucket that holds it; 0 without requests."""
        if not self.timed:
            return 0.0
        position = int(np.searchsorted(np.cumsum(self.latencies), share * self.timed))
        return float(BOUNDS[min(position, len(BOUNDS) - 1)])

    def slower_than(self, seconds: float) -> int:
        """Requests that certainly took longer."""
        return int(self.latencies[int(np.searchsorted(BOUNDS, seconds)) + 1 :].sum())

    def plain(self) -> dict[str, Any]:
        """Without arrays, to be sent; :meth:`of` reads it."""
        return {name: value.tolist() if isinstance(value := getattr(self, name), np.ndarray) else value for name in _FIELDS}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Figures:
        found: dict[str, Any] = {name: np.asarray(value, np.int64) if isinstance(value, list) else value for name, value in plain.items()}
        return cls(**found)

    def brief(self) -> dict[str, Any]:
        """For people and dashboards."""
        found: dict[str, Any] = {"requests": self.requests, "failed": self.failed, "rows": self.rows}
        if self.timed:
            found |= {"p50_ms": round(1e3 * self.quantile(0.5), 3), "p99_ms": round(1e3 * self.quantile(0.99), 3)}
            bounds = [*BOUNDS.tolist(), None]  # None: slower than the last bound
            found["latencies"] = [[bounds[place], int(self.latencies[place])] for place in np.flatnonzero(self.latencies)]
        return found | ({"mean_score": round(self.score_sum / self.rows, 4)} if self.rows else {})


_FIELDS = tuple(each.name for each in fields(Figures))
