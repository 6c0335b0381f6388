"""A dataset as one fold sees it: its own train, validation and test parts, and statistics of its own train part alone.

Fold ``k`` tests, fold ``k + 1`` says when to stop training, the others train. Whatever a model fits (medians, scales, vocabularies)
is therefore fitted without the rows that test it. Written batch by batch; a column at a time is in memory for the statistics.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.contracts import dataset as datasets
from jobs.contracts import fingerprint, storage
from jobs.contracts.dataset import FOLD, PARTS, DataFile, Manifest
from jobs.contracts.errors import InputError
from jobs.scoring import statistics
from jobs.scoring.statistics import MEASURED

TRAIN, VALIDATION, TEST = PARTS
_BATCH = 131_072  # rows
_GOLDEN = 0.6180339887498949  # its multiples, modulo 1, are spread evenly: any share of rows is one of every stretch of time


def write(source: str, parts: Sequence[str], fold: int, folds: int, share: float, target: Path) -> Manifest:
    """Publish the dataset of a fold in ``target``; ``share`` of its training rows are kept, spread evenly over them.

    Errors: InputError for a fold that leaves a part without rows.
    """
    manifest = datasets.load_manifest(source)
    rows = dict.fromkeys(PARTS, 0)
    with ExitStack() as stack:
        writers: dict[str, pq.ParquetWriter] = {}
        for name, table in _divided(source, manifest, parts, fold, folds, share):
            if name not in writers:
                (target / name).mkdir(parents=True)
                writers[name] = stack.enter_context(pq.ParquetWriter(target / name / "part-00000.parquet", table.schema))
            writers[name].write_table(table)
            rows[name] += table.num_rows
    if empty := [name for name in PARTS if not rows[name]]:
        hint = "use fewer folds, or more data: folds are assigned by day"
        raise InputError(f"fold {fold} of {folds} leaves no rows for the {empty[0]} part", where=source, hint=hint)
    draft = manifest.model_copy(
        update={
            "fingerprint": fingerprint.of([manifest.fingerprint, list(parts), fold, folds, share]),
            "files": tuple(_file(target, name, rows[name]) for name in PARTS),
            "split": manifest.split.model_copy(update={"method": "fold", "boundaries": {"fold": f"{fold} of {folds}"}, "rows": rows}),
        }
    )
    train = datasets.open_part(str(target), draft, TRAIN)
    found = [statistics.of_column(train, each.name, text=each.text) if each.role in MEASURED else None for each in draft.columns]
    columns = [each.model_copy(update={"statistics": one}) for each, one in zip(draft.columns, found, strict=True)]
    published = draft.model_copy(update={"columns": tuple(columns)})
    datasets.publish_manifest(str(target), published)
    return published


def _divided(source: str, manifest: Manifest, parts: Sequence[str], fold: int, folds: int, share: float) -> Iterator[tuple[str, pa.Table]]:
    seen = 0  # training rows
    for part in parts:
        if not manifest.files_of(part):
            continue
        for batch in datasets.open_part(source, manifest, part).to_batches(batch_size=_BATCH):
            table = pa.Table.from_batches([batch])
            of: Any = table[FOLD].to_numpy() % folds
            for name, mask in ((TEST, of == fold), (VALIDATION, of == (fold + 1) % folds)):
                if mask.any():
                    yield name, table.filter(pa.array(mask))
            train = table.filter(pa.array((of != fold) & (of != (fold + 1) % folds)))
            kept = _kept(seen, train.num_rows, share)
            seen += train.num_rows
            if kept.any():
                yield TRAIN, train.filter(pa.array(kept))


def _kept(first: int, rows: int, share: float) -> Any:
    return (np.arange(first, first + rows) * _GOLDEN) % 1.0 < share if share < 1 else np.ones(rows, bool)


def _file(folder: Path, part: str, rows: int) -> DataFile:
    path = f"{part}/part-00000.parquet"
    return DataFile(path=path, part=part, rows=rows, bytes=(folder / path).stat().st_size, sha256=storage.sha256(str(folder / path)))
