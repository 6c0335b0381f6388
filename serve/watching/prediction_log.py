"""Keeps a sample of what was asked and answered, as Parquet files of bounded size, age and number.

It runs on the thread that looks at answers, never on the event loop. A file is written under a hidden name and renamed, so a crash
leaves whole files or none. Columns marked private in the dataset are never written.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serve.rollout.answered import Batch
from serve.rollout.split import position
from serve.watching.rows import FIXED, TIME, file_name, files, model_folder
from serve.watching.settings import LogSettings

log = logging.getLogger(__name__)

_ABANDONED = 600.0  # seconds after which a hidden file has no writer any more


class PredictionLog:
    """A watcher of ``serve.rollout.traffic``. For one thread."""

    def __init__(self, settings: LogSettings, model: str, replica: str) -> None:
        self._settings, self._replica = settings, replica
        self._folder = model_folder(settings.folder, model)
        self._tables: list[pa.Table] = []
        self._rows, self._number, self._oldest = 0, 0, 0.0
        self.written, self.dropped, self._problem = 0, 0, ""  # rows

    def see(self, batch: Batch, role: str) -> None:
        chosen = self._sampled(batch)
        part = chosen.sample(max(0, self._settings.rows - self._rows))
        self.dropped += chosen.rows - part.rows
        if part.rows:
            self._oldest = self._oldest or time.monotonic()
            self._tables.append(_table(part, role))
            self._rows += part.rows
        if self._rows >= self._settings.rows:
            self.flush()

    def tick(self) -> None:
        """Called now and then, also while nobody asks: what waits becomes a file in time."""
        if self._rows and time.monotonic() - self._oldest > self._settings.seconds:
            self.flush()

    def flush(self) -> None:
        """Write what waits. A disk that is full costs the rows, never an answer."""
        tables, self._tables, rows, self._rows, self._oldest = self._tables, [], self._rows, 0, 0.0
        if not rows:
            return
        try:
            self._write(tables)
        except OSError as error:
            self.dropped += rows
            if str(error) != self._problem:
                log.warning("%s: %s predictions could not be logged: %s", self._folder, rows, error)
            self._problem = str(error)
        else:
            self.written, self._problem = self.written + rows, ""
            self._forget_old()

    def close(self) -> None:
        self.flush()

    def state(self) -> dict[str, Any]:
        return {"prediction_log": {"written": self.written, "waiting": self._rows, "dropped": self.dropped, "problem": self._problem}}

    def _sampled(self, batch: Batch) -> Batch:
        """Whole requests, the same in every version: a shadow's answers are logged beside the champion's."""
        if self._settings.sample >= 1:
            return batch
        known: dict[str, bool] = {}
        kept = [known[each] if each in known else known.setdefault(each, position(f"log {each}") < 100 * self._settings.sample) for each in batch.ids]
        return batch.take(np.flatnonzero(kept))

    def _write(self, tables: list[pa.Table]) -> None:
        """One file for each set of columns: versions may have different inputs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        layouts: dict[str, list[pa.Table]] = {}
        for table in tables:
            layouts.setdefault(str(table.schema), []).append(table)
        for alike in layouts.values():
            self._number += 1
            name = file_name(time.time(), self._replica, self._number)
            hidden = self._folder / f".{name}"
            try:
                pq.write_table(pa.concat_tables(alike), hidden, compression="zstd")
                os.replace(hidden, self._folder / name)
            finally:
                hidden.unlink(missing_ok=True)

    def _forget_old(self) -> None:
        """Keep the newest files within the bound. Several replicas may do so at once."""
        sizes = []
        for path in reversed(files(self._folder)):
            with contextlib.suppress(OSError):
                sizes.append((path, path.stat().st_size))
        total = np.cumsum([size for _, size in sizes])
        for (path, _), reached in zip(sizes, total, strict=True):
            if reached > self._settings.bytes:
                path.unlink(missing_ok=True)
        for path in self._folder.glob(".*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()


def _table(batch: Batch, role: str) -> pa.Table:
    model, rows = batch.model, batch.rows
    shown = [field.name for field in model.bundle.inputs if not field.private]
    features = pa.StructArray.from_arrays([batch.columns[name] for name in shown], shown) if shown else pa.nulls(rows, pa.struct([]))
    values: list[Any] = [
        pa.array(batch.ids, pa.string()),
        pa.array(batch.positions),
        pa.repeat(pa.scalar(round(time.time() * 1e6), pa.int64()).cast(TIME), rows),
        *(pa.repeat(pa.scalar(text), rows) for text in (model.version, model.fingerprint, role)),
        pa.array(batch.probabilities),
        pa.array((batch.probabilities >= model.bundle.threshold).astype(np.int8)),
    ]
    return pa.table([*values, features], schema=pa.schema([*FIXED, pa.field("features", features.type)]))
