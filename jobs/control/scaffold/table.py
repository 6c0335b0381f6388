"""What a CSV holds: the type of each column, and which part it plays. Decided from its first rows, written down for people to correct."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.contracts.bundle import TaskName
from jobs.contracts.errors import InputError, RequestError

LOOKED_AT = 1 << 24  # bytes of the file
FEW_CLASSES, MANY_VALUES = 50, 1_000  # distinct values: of a label that is a class, of a text that is no category any more
_SQL = {"int64": "bigint", "double": "double", "bool": "boolean", "string": "string"}


@dataclass(frozen=True)
class Found:
    """One column. ``sql``: its Spark type; ``values``: how many different ones were seen."""

    name: str
    sql: str
    values: int
    nulls: int


@dataclass(frozen=True)
class Roles:
    """Which column is what. ``key`` and ``time`` may be empty; ``unused`` columns are read and go no further."""

    label: str
    task: TaskName
    key: str
    time: str
    features: tuple[str, ...]
    unused: tuple[str, ...]
    moments: tuple[str, ...] = ()  # of the time column: where validation and test begin


@dataclass(frozen=True)
class Csv:
    path: Path
    columns: tuple[Found, ...]
    rows: pa.Table

    def column(self, name: str) -> Found:
        """Errors: RequestError that lists the columns."""
        for found in self.columns:
            if found.name == name:
                return found
        raise RequestError(f"no column {name!r}", where=str(self.path), hint=f"its columns: {', '.join(one.name for one in self.columns)}")


def read(path: Path) -> Csv:
    """Errors: InputError for a file that is no CSV with a header and rows."""
    from pyarrow import csv

    options = csv.ConvertOptions(null_values=["", "NA"], strings_can_be_null=True)
    try:
        with csv.open_csv(path, csv.ReadOptions(block_size=LOOKED_AT), convert_options=options) as stream:
            rows = pa.Table.from_batches([stream.read_next_batch()])
    except (OSError, pa.ArrowInvalid, StopIteration) as error:
        raise InputError(f"cannot be read as a CSV: {error}", where=str(path), hint="it needs a header line, then rows, in UTF-8") from error
    if rows.num_rows < 20:
        raise InputError(f"only {rows.num_rows} rows", where=str(path), hint="training, validation and test need at least 20 together")
    if odd := [name for name in rows.column_names if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ ]*", name)]:
        raise InputError(f"the column name {odd[0]!r} is no name for code", where=str(path), hint="rename it to letters, digits and _ in the header")
    return Csv(path, tuple(_found(name, rows[name]) for name in rows.column_names), rows)


def _found(name: str, column: pa.ChunkedArray) -> Found:
    kind = str(column.type)
    sql = "timestamp" if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type) else _SQL.get(kind, "string")
    return Found(name, sql, len(column.unique().drop_null()), column.null_count)


def roles(table: Csv, *, label: str = "", task: TaskName | None = None, key: str = "", time: str = "") -> Roles:
    """The parts of the columns, where the caller does not say: the label is the last column, the time the only moment, the key a unique id.

    Errors: RequestError for a column that is not there or cannot be what is wanted.
    """
    answer = table.column(label or table.columns[-1].name)
    moments = [one.name for one in table.columns if one.sql == "timestamp" and one.name != answer.name]
    chosen_time = table.column(time).name if time else moments[0] if len(moments) == 1 else ""
    chosen_key = table.column(key).name if key else _key(table, answer.name)
    taken = {answer.name, chosen_key, chosen_time}
    rest = [one for one in table.columns if one.name not in taken]
    unused = tuple(one.name for one in rest if one.sql == "timestamp" or (one.sql == "string" and one.values > MANY_VALUES) or one.values < 2)
    features = tuple(one.name for one in rest if one.name not in unused)
    if not features:
        raise RequestError("no column is left to predict from", where=str(table.path), hint="it needs numbers or texts with a few different values")
    chosen = task or _task(table, answer)
    return Roles(answer.name, chosen, chosen_key, chosen_time, features, unused, _moments(table.rows[chosen_time]) if chosen_time else ())


def _key(table: Csv, label: str) -> str:
    """A column with another whole number or text in every row; the first one, if its name says that it identifies."""
    unique = [one for one in table.columns if one.sql in ("bigint", "string") and one.values == table.rows.num_rows and one.name != label]
    return next((one.name for one in unique if one.name.lower() in ("id", "key", "uuid") or one.name.lower().endswith("id")), "")


def _task(table: Csv, label: Found) -> TaskName:
    if label.sql == "timestamp":
        raise RequestError("a moment cannot be predicted", where=f"column {label.name!r}", hint="choose another column with --label")
    if label.sql == "boolean":
        return "binary"
    values: set[Any] = set(table.rows[label.name].unique().drop_null().to_pylist()) if label.values <= FEW_CLASSES else set()
    if values == {0, 1}:
        return "binary"
    if label.sql == "string":
        if not 2 <= label.values <= FEW_CLASSES:
            raise RequestError(f"{label.values} different texts", where=f"column {label.name!r}", hint=f"a class has 2 to {FEW_CLASSES}; choose with --label")
        return "multiclass"
    return "regression"


def _moments(column: pa.ChunkedArray) -> tuple[str, str]:
    """Days before which 70 % and 80 % of the rows lie."""
    days = column.cast(pa.timestamp("us")).drop_null().sort()
    return str(days[int(0.7 * len(days))].as_py().date()), str(days[int(0.8 * len(days))].as_py().date())
