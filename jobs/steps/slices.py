"""Quality by slice: one row per value of a column, and one per month of the time column.

An average hides a group that the model serves badly; a slice shows it. Everything here is arrays in, rows out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel

from jobs.contracts.bundle import Interval
from jobs.contracts.dataset import Manifest, Role, is_text
from jobs.contracts.errors import SpecError
from jobs.scoring import metrics
from jobs.scoring.metrics import Floats
from jobs.scoring.tasks import TASKS, Task

FEW = 30  # a text feature with at most so many values is sliced without being asked for
MOST = 40  # slices shown per column, the largest first
ENOUGH = 30  # rows of each class below which no ranking metric is given: its interval would say nothing
SAMPLES = 100  # bootstrap samples per slice
FROM_TIME = {"month": "%Y-%m", "hour": "%H"}  # slices of the time column (UTC) that need no column of their own
_Z = 1.959964  # 97.5 % quantile of the normal distribution


class Slice(BaseModel):
    """Test rows with one value in one column."""

    column: str
    value: str
    rows: int
    rate: Interval  # what happened: share of positives or of right answers (Wilson 1927), or mean label
    mean: float  # what the model says: mean probability, confidence or value
    metrics: dict[str, Interval]  # empty when the slice has too few rows (of a class)


class Month(BaseModel):
    """Rows of one part in one month (UTC); ``gap`` is ``mean`` - ``rate``, with its normal interval."""

    month: str
    part: str
    rows: int
    rate: Interval
    mean: float
    gap: Interval
    calibration_error: float | None  # of probabilities


def choose_columns(manifest: Manifest, asked: Sequence[str] | None) -> list[str]:
    """``params.slices``, or the text features with few values.

    Errors: SpecError for what is neither a column nor (with a time column) one of :data:`FROM_TIME`.
    """
    if asked is None:
        texts = [column for column in manifest.features if is_text(column) and not column.text]
        return [column.name for column in texts if column.statistics and 1 < len(column.statistics.categories) <= FEW]
    known = [column.name for column in manifest.columns]
    known += [name for name in FROM_TIME if manifest.columns_of(Role.TIME) and name not in known]
    if unknown := [name for name in asked if name not in known]:
        raise SpecError(f"no column {unknown[0]!r} in the dataset", where="params.slices", hint=f"choose among {', '.join(known)}")
    return list(asked)


def by_value(
    test: pa.Table,
    manifest: Manifest,
    columns: Sequence[str],
    labels: Floats,
    scores: Floats,
    *,
    threshold: float,
    seed: int = 0,
    task: Task = TASKS["binary"],
) -> list[Slice]:
    """Slices of each column in turn, most rows first."""
    groups = ((column, value, rows) for column in columns for value, rows in _groups(_texts(test, manifest, column)))
    return [_slice(task, column, value, labels[rows], scores[rows], threshold, seed) for column, value, rows in groups]


def _texts(test: pa.Table, manifest: Manifest, column: str) -> pa.ChunkedArray:
    """What each row is called in its slice; a number with a fraction goes by its whole part."""
    if column in FROM_TIME and column not in test.column_names:
        return pc.strftime(test[manifest.columns_of(Role.TIME)[0].name], FROM_TIME[column])
    values = test[column]
    return (pc.floor(values).cast(pa.int64()) if pa.types.is_floating(values.type) else values).cast(pa.string())


def _groups(texts: pa.ChunkedArray) -> Iterable[tuple[str, NDArray[np.int64]]]:
    encoded = pc.fill_null(texts, "(none)").combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    counts = np.bincount(codes)
    ordered, starts = np.argsort(codes, kind="stable"), np.append(0, np.cumsum(counts))
    for code in np.argsort(-counts, kind="stable")[:MOST]:
        yield encoded.dictionary[int(code)].as_py(), ordered[starts[code] : starts[code + 1]]


def _slice(task: Task, column: str, value: str, labels: Floats, scores: Floats, threshold: float, seed: int) -> Slice:
    found = task.bootstrap(labels, scores, threshold=threshold, samples=SAMPLES, seed=seed) if _is_enough(task, labels) else {}
    mean = float(task.headline(scores).mean())
    return Slice(column=column, value=value, rows=len(labels), rate=_rate(task, labels, scores), mean=mean, metrics=found)


def _is_enough(task: Task, labels: Floats) -> bool:
    if task.name == "binary":
        return min(int(labels.sum()), len(labels) - int(labels.sum())) >= ENOUGH
    return len(labels) >= ENOUGH and bool(labels.min() < labels.max())


def _rate(task: Task, labels: Floats, scores: Floats) -> Interval:
    outcome = task.outcome(labels, scores)
    return wilson(int(outcome.sum()), len(outcome)) if task.is_share else _normal(outcome)


def _normal(values: Floats) -> Interval:
    """A mean with its normal 95 % interval."""
    middle, reach = float(values.mean()), _Z * float(values.std()) / np.sqrt(len(values))
    return Interval(value=middle, low=middle - reach, high=middle + reach)


def months_of(table: pa.Table, manifest: Manifest) -> NDArray[np.datetime64]:
    """The month of the time column for every row, datetime64[M] [n]."""
    return table[manifest.columns_of(Role.TIME)[0].name].to_numpy().astype("datetime64[M]")  # type: ignore[no-any-return]


def by_month(part: str, months: NDArray[np.datetime64], labels: Floats, scores: Floats, *, task: Task = TASKS["binary"]) -> list[Month]:
    """Rate and calibration of one part, month by month."""
    return [_month(task, part, str(month), labels[months == month], scores[months == month]) for month in np.unique(months)]


def _month(task: Task, part: str, month: str, labels: Floats, scores: Floats) -> Month:
    said, outcome = task.headline(scores), task.outcome(labels, scores)
    return Month(
        month=month,
        part=part,
        rows=len(labels),
        rate=_rate(task, labels, scores),
        mean=float(said.mean()),
        gap=_normal(said - outcome),
        calibration_error=metrics.calibration_error(outcome, said) if task.is_share else None,
    )


def wilson(hits: int, rows: int) -> Interval:
    """A share with its 95 % score interval (Wilson 1927): right for few rows and shares near 0 or 1."""
    share, square = hits / rows, _Z * _Z
    middle = (share + square / (2 * rows)) / (1 + square / rows)
    reach = _Z / (1 + square / rows) * np.sqrt(share * (1 - share) / rows + square / (4 * rows * rows))
    return Interval(value=share, low=max(0.0, float(middle - reach)), high=min(1.0, float(middle + reach)))
