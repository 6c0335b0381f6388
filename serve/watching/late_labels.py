"""Labels that arrive after the prediction: kept beside the prediction log, joined with it when quality is asked for."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from jobs.contracts.errors import InputError, from_os_error
from serve.watching.rows import LABELS, SUFFIX, file_name

SCHEMA = pa.schema([("request_id", pa.string()), ("row", pa.int32()), ("label", pa.int8())])
_COLUMNS = "request_id, label and, for requests of several rows, row (counted from 0)"


def add(folder: Path, source: Path) -> tuple[int, bool]:
    """Keep the labels of a CSV or Parquet file: (rows, whether they are new). The same file again changes nothing.

    Errors: InputError for a file without the columns, or with labels other than 0 and 1.
    """
    table = _checked(_read(source), str(source))
    digest = hashlib.sha256(b"".join(str(table[name].to_pylist()).encode() for name in table.column_names)).hexdigest()[:16]
    kept = folder / LABELS
    if list(kept.glob(f"*-{digest}-*{SUFFIX}")):
        return table.num_rows, False
    name = file_name(time.time(), digest, 0)
    try:
        kept.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, kept / f".{name}")
        os.replace(kept / f".{name}", kept / name)
    except OSError as error:
        raise from_os_error(error, str(kept)) from error
    return table.num_rows, True


def read(folder: Path) -> pa.Table:
    """One label per (request_id, row): what was added last holds."""
    tables = list(_tables(folder / LABELS))
    if not tables:
        return SCHEMA.empty_table()
    table = pa.concat_tables(tables).append_column("order", pa.array(range(sum(each.num_rows for each in tables))))
    newest = table.group_by(["request_id", "row"]).aggregate([("order", "max")])
    return table.take(newest["order_max"]).select(SCHEMA.names)


def _tables(folder: Path) -> Iterator[pa.Table]:
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if not path.name.startswith("."):
            yield pq.read_table(path).cast(SCHEMA)


def _read(source: Path) -> pa.Table:
    try:
        if source.suffix == SUFFIX:
            return pq.read_table(source)
        return pacsv.read_csv(source, convert_options=pacsv.ConvertOptions(column_types={"request_id": pa.string()}))
    except OSError as error:
        raise from_os_error(error, str(source)) from error
    except pa.ArrowInvalid as error:
        raise InputError(f"the labels cannot be read: {error}", where=str(source), hint=f"send CSV or Parquet with the columns {_COLUMNS}") from error


def _checked(table: pa.Table, where: str) -> pa.Table:
    missing = [name for name in ("request_id", "label") if name not in table.column_names]
    if missing:
        raise InputError(f"column {missing[0]!r} is missing", where=where, hint=f"the columns are {_COLUMNS}")
    if "row" not in table.column_names:
        table = table.append_column("row", pa.array([0] * table.num_rows, pa.int32()))
    try:
        found = table.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"the labels are of the wrong type: {error}", where=where, hint="label is 0 or 1, row a small number") from error
    if found.num_rows == 0 or found["label"].null_count or not pc.all(pc.is_in(found["label"], pa.array([0, 1], pa.int8()))).as_py():
        raise InputError("every label must be 0 or 1", where=where, hint="leave out rows whose outcome is not known")
    return found
