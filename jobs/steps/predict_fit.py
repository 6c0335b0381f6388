"""Which rows fit a model's inputs, column by column in Arrow: a row that does not fit is set aside with its reason, never guessed.

A null fits everywhere, as in serving. A text is a number where it reads as one; anything can be a category but a list or a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.contracts.bundle import InputField
from jobs.contracts.errors import InputError

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
NOT_A_NUMBER, NOT_FINITE, NO_SCORE = "not_a_number", "not_finite", "no_score"

Columns = dict[str, pa.Array]


@dataclass(frozen=True)
class Fitted:
    """``columns`` of all rows, as the model takes them; ``reasons``: text per row, null where it fits (None = all fit)."""

    columns: Columns
    reasons: pa.Array | None


def check_schema(schema: pa.Schema, inputs: Sequence[InputField], ids: Sequence[str], where: str) -> None:
    """Errors: InputError for a column that is missing or that no row of could fit."""
    known = set(schema.names)
    if lacking := [name for name in [*(field.name for field in inputs), *ids] if name not in known]:
        hint = f"its columns are {', '.join(schema.names[:30])}"
        raise InputError(f"the rows lack {', '.join(lacking)}", where=where, hint=hint)
    for field in inputs:
        kind = _plain(schema.field(field.name).type)
        text, number = _is_text(kind), pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        fits = text or number or pa.types.is_boolean(kind) or pa.types.is_null(kind)
        if not fits:
            raise InputError(f"the column {field.name!r} is {kind} and the model takes a {field.kind}", where=where, hint="convert it before")


def texts(schema: pa.Schema, inputs: Sequence[InputField]) -> list[str]:
    """Categories that are read as dictionaries: looking up few values instead of every row takes a tenth of the time."""
    return [field.name for field in inputs if field.kind == "category" and _is_text(schema.field(field.name).type)]


def fit(batch: pa.RecordBatch, inputs: Sequence[InputField]) -> Fitted:
    columns: Columns = {}
    reasons: pa.Array | None = None
    for field in inputs:
        column = batch.column(field.name)
        if field.kind == "category":
            columns[field.name] = column
            continue
        columns[field.name], bad, reason = _number(column)
        if bad is not None:
            said = pa.scalar(f"{reason}:{field.name}")
            earlier = reasons if reasons is not None else pa.nulls(batch.num_rows, pa.string())
            reasons = pc.coalesce(earlier, pc.if_else(bad, said, pa.scalar(None, pa.string())))
    return Fitted(columns, reasons)


def with_scores(reasons: pa.Array | None, scores: NDArray[np.float32]) -> pa.Array | None:
    """The same reasons, and one for rows to which the model gives no number."""
    finite = np.isfinite(scores) if scores.ndim == 1 else np.isfinite(scores).all(axis=1)
    if finite.all():
        return reasons
    found = pc.if_else(pa.array(finite), pa.scalar(None, pa.string()), pa.scalar(NO_SCORE))
    return found if reasons is None else pc.coalesce(reasons, found)


def _number(column: pa.Array) -> tuple[pa.Array, pa.Array | None, str]:
    """(as the model takes it, which rows are none or None, why)."""
    if _is_text(column.type):
        text = column.cast(pa.string())
        reads = pc.match_substring_regex(text, _NUMBER)
        bad = pc.fill_null(pc.invert(reads), False)
        number = pc.cast(pc.utf8_trim_whitespace(pc.if_else(bad, pa.scalar(None, pa.string()), text)), pa.float64())
        return number, bad if pc.any(bad).as_py() else None, NOT_A_NUMBER
    if pa.types.is_floating(column.type):
        bad = pc.fill_null(pc.is_inf(column.cast(pa.float64())), False)
        return column, bad if pc.any(bad).as_py() else None, NOT_FINITE
    return column, None, ""


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(_plain(kind)) or pa.types.is_large_string(_plain(kind))
