"""Contenders on the same input, in turn, several times; medians, spreads and ratios with an interval.

The order changes from round to round, so that what comes first, or right after a heavy one, is not always the same. A ratio is taken within a
round, so a slow minute hits both sides of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks.measuring import Sample
from benchmarks.noise import Noise

CONFIDENCE = 0.95
_RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass
class Comparison:
    """``ours`` among ``samples`` against each of the others. ``demands``: contender -> how many times as fast as it ours must be."""

    case: str
    title: str
    unit: str  # "s": less is better; anything else: more is better
    ours: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    demands: dict[str, float] = field(default_factory=dict)
    quiet: bool = True

    @property
    def peers(self) -> list[str]:
        return [name for name in self.samples if name != self.ours]

    def values(self, name: str) -> list[float]:
        return [sample.value for sample in self.samples[name]]

    def median(self, name: str) -> float:
        return float(np.median(self.values(name)))

    def memory(self, name: str) -> int:
        """Median of the peaks, in bytes."""
        return int(np.median([sample.memory for sample in self.samples[name]]))

    def speed(self, peer: str) -> Interval:
        """How many times as fast as ``peer`` ours was."""
        pairs = zip(self.values(self.ours), self.values(peer), strict=True)
        return interval([theirs / own if self.unit == "s" else own / theirs for own, theirs in pairs])

    def facts(self) -> dict[str, Any]:
        speeds = {peer: asdict(self.speed(peer)) for peer in self.peers} if self.quiet else {}
        return {**asdict(self), "speed": speeds}


@dataclass(frozen=True)
class Figure:
    """One number without a peer."""

    case: str
    title: str
    value: float
    unit: str
    demand: str = ""


def interval(values: list[float]) -> Interval:
    """Median with a bootstrapped interval (BCa where the values allow it)."""
    middle = float(np.median(values))
    if len(set(values)) < 2:
        return Interval(middle, min(values), max(values))
    from scipy.stats import bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few values: it says that the interval is coarse, and so do we
        found = bootstrap((values,), np.median, confidence_level=CONFIDENCE, n_resamples=_RESAMPLES, method="percentile", rng=0).confidence_interval
    return Interval(middle, float(found.low), float(found.high))


def compare(comparison: Comparison, contenders: Mapping[str, Callable[[], Sample]], rounds: int, tell: Callable[[str], None]) -> Comparison:
    """Measure every contender once per round."""
    together([comparison], {name: partial(_alone, measured) for name, measured in contenders.items()}, rounds, tell)
    return comparison


def together(
    comparisons: Sequence[Comparison], contenders: Mapping[str, Callable[[], Sequence[Sample | None]]], rounds: int, tell: Callable[[str], None]
) -> None:
    """The same of contenders that are measured for several comparisons at a time: a server that starts slowly need start once per round.
    None: not among the contenders of that comparison."""
    noise, names = Noise(), list(contenders)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            noise.probe()
            for comparison, sample in zip(comparisons, contenders[name](), strict=True):
                if sample is not None:
                    comparison.samples.setdefault(name, []).append(sample)
                    tell(f"  {comparison.title}: {name} {sample.value:,.4g} {comparison.unit} ({number + 1} of {rounds})")
    noise.probe()
    for comparison in comparisons:
        comparison.quiet = noise.is_quiet


def _alone(measured: Callable[[], Sample]) -> list[Sample]:
    return [measured()]
