"""What a model is for: the metrics, words and answers of each task type, for whatever works with all of them.

binary        probability [n]         did it happen?
multiclass    probabilities [n, K]    which of the classes is it?
regression    value [n]               how much is it?
forecast      value [n]               the same, of a time that lies ahead
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.contracts.bundle import OUTPUTS, Interval, TaskName
from jobs.contracts.errors import InputError
from jobs.scoring import class_metrics, metrics, value_metrics
from jobs.scoring.metrics import Array, Floats

_UNIT = (0.0, 1.0)
_FREE = (-np.inf, np.inf)
Measure = Callable[[Array, Array, float, Iterable[Floats]], dict[str, Floats]]


@dataclass(frozen=True)
class Task:
    """One task type. ``observed``, ``said`` and ``spread`` are how reports name what happened, what the model said, and their distance."""

    name: TaskName
    titles: Mapping[str, str]  # metric -> how it is written; the first one is what a gate compares unless it says otherwise
    lower_is_better: frozenset[str]
    measure: Measure
    observed: str
    said: str
    bounds: Mapping[str, tuple[float, float]]  # metrics that do not lie between 0 and 1

    @property
    def output(self) -> str:
        """Name of the model's output tensor."""
        return OUTPUTS[self.name]

    @property
    def primary(self) -> str:
        return next(iter(self.titles))

    @property
    def is_share(self) -> bool:
        """Whether what is observed and said are shares, between 0 and 1."""
        return self.output != "value"

    def evaluate(self, labels: Array, scores: Array, *, threshold: float) -> dict[str, float]:
        """All metrics for these rows."""
        return {name: float(values[0]) for name, values in self.measure(labels, scores, threshold, [np.ones((1, len(labels)))]).items()}

    def resample(self, labels: Array, scores: Array, *, threshold: float, samples: int, seed: int = 0) -> dict[str, Floats]:
        """All metrics on bootstrap samples, float64 [samples] each; equal seeds and row counts draw equal rows."""
        return self.measure(labels, scores, threshold, metrics.draws(len(labels), samples, seed))

    def interval(self, metric: str, value: float, drawn: Floats) -> Interval:
        return metrics.interval(value, drawn, self.bounds.get(metric, _UNIT))

    def difference(self, metric: str, value: float, drawn: Floats) -> Interval:
        """Of two models' results."""
        return metrics.interval(value, drawn, _FREE if metric in self.bounds else (-1.0, 1.0))

    def bootstrap(self, labels: Array, scores: Array, *, threshold: float, samples: int, seed: int = 0) -> dict[str, Interval]:
        """All metrics with their 95 % intervals."""
        values, drawn = self.evaluate(labels, scores, threshold=threshold), self.resample(labels, scores, threshold=threshold, samples=samples, seed=seed)
        return {name: self.interval(name, values[name], drawn[name]) for name in self.titles}

    def headline(self, scores: Array) -> Array:
        """One number per row, for histograms and logs: the probability (of several classes, the likeliest one's) or the value; [n]."""
        return scores.max(axis=1) if scores.ndim == 2 else scores

    def outcome(self, labels: Array, scores: Array) -> Array:
        """What :meth:`headline` should be on average: the label, or of several classes 1 where the likeliest one is right; [n]."""
        return class_metrics.correct(labels, scores) if self.name == "multiclass" else labels

    def better(self, metric: str) -> float:
        """1 where more is better, else -1."""
        return -1.0 if metric in self.lower_is_better else 1.0


def _binary(labels: Array, scores: Array, threshold: float, weightings: Iterable[Floats]) -> dict[str, Floats]:
    metrics.need_both(labels)
    return metrics.measure(labels, scores, threshold, weightings)


_CLASS_BOUNDS = {"log_loss": (0.0, np.inf)}
_VALUE_BOUNDS = {"rmse": (0.0, np.inf), "mae": (0.0, np.inf), "r2": (-np.inf, 1.0)}
_VALUES: dict[str, Any] = {
    "titles": value_metrics.TITLES,
    "lower_is_better": value_metrics.LOWER_IS_BETTER,
    "measure": value_metrics.measure,
    "observed": "Mean observed",
    "said": "Mean prediction",
    "bounds": _VALUE_BOUNDS,
}
TASKS: dict[TaskName, Task] = {
    "binary": Task("binary", metrics.TITLES, metrics.LOWER_IS_BETTER, _binary, "Observed rate", "Mean probability", {}),
    "multiclass": Task(
        "multiclass", class_metrics.TITLES, class_metrics.LOWER_IS_BETTER, class_metrics.measure, "Share of right answers", "Mean confidence", _CLASS_BOUNDS
    ),
    "regression": Task("regression", **_VALUES),
    "forecast": Task("forecast", **_VALUES),
}
TITLES = {name: title for task in TASKS.values() for name, title in task.titles.items()}  # of every metric
METRICS = tuple(TITLES)
LOWER_IS_BETTER = frozenset().union(*(task.lower_is_better for task in TASKS.values()))


def of(name: TaskName) -> Task:
    return TASKS[name]


def labels_of(column: pa.Array | pa.ChunkedArray, classes: Sequence[str] = ()) -> Floats:
    """A label column as float64 [n]: numbers as they are, of several classes the number of each row's class.

    Errors: InputError for a label that is none of the classes.
    """
    if not classes:
        return column.cast(pa.float64()).to_numpy(**_COPY if isinstance(column, pa.Array) else {})  # type: ignore[no-any-return]
    texts = column.cast(pa.string())
    found = pc.index_in(texts, value_set=pa.array(classes, pa.string()))
    if found.null_count:
        unknown = texts.filter(pc.is_null(found))[0].as_py()
        raise InputError(f"the label {unknown!r} is none of the model's classes", hint=f"its classes are {', '.join(classes[:20])}; train again with it")
    return found.cast(pa.float64()).to_numpy(**_COPY if isinstance(found, pa.Array) else {})  # type: ignore[no-any-return]


_COPY = {"zero_copy_only": False}
