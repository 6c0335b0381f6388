"""The layout of the prediction log, and reading it.

    <folder>/<model>/<time>-<replica>-<n>.parquet      predictions; complete, because a file is renamed into place
    <folder>/<model>/labels/<hash>.parquet             labels that arrived later: request_id, row, label

A row is one prediction. Its inputs lie in the struct ``features``, so that no column of a workload can clash with ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.contracts.errors import InputError

SUFFIX, LABELS = ".parquet", "labels"
TIME = pa.timestamp("us", "UTC")
FIXED = (
    pa.field("request_id", pa.string()),
    pa.field("row", pa.int32()),  # position in its request
    pa.field("time", TIME),  # of the answer
    pa.field("model_version", pa.string()),
    pa.field("bundle", pa.string()),  # its fingerprint
    pa.field("role", pa.string()),  # champion, canary, shadow or previous
    pa.field("probability", pa.float32()),
    pa.field("label", pa.int8()),  # 1 where the probability reaches the bundle's threshold
)


def model_folder(folder: str | Path, model: str) -> Path:
    return Path(folder) / model


def files(folder: Path) -> list[Path]:
    """Finished files, oldest first: their names begin with the time."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))


def file_name(moment: float, replica: str, number: int) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y%m%dT%H%M%S.%f}-{replica}-{number:06d}{SUFFIX}"


def read(folder: Path, *, since: float = 0, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Tables of predictions answered at or after ``since`` (seconds since 1970), oldest file first; files that go meanwhile are passed over.

    Columns of ``features`` may differ from table to table, as the bundles do.
    Errors: InputError where there is no log.
    """
    if not folder.is_dir():
        raise InputError("there is no prediction log", where=str(folder), hint="a running service writes one; see SEATRIAL_PREDICTIONS")
    moment = pa.scalar(datetime.fromtimestamp(since, UTC), TIME)
    for path in files(folder):
        # A file is named by when it was written, which is after its last row.
        if path.name < file_name(since, "", 0)[:22]:
            continue
        try:
            table = pq.read_table(path, columns=list(columns) if columns else None)
        except FileNotFoundError:
            continue
        recent = table.filter(pc.greater_equal(table["time"], moment)) if since else table
        if recent.num_rows:
            yield recent
