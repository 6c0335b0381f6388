"""Parquet to batches of tensors: whole columns at a time, never more than a bounded number of rows in memory.

Each rank reads its own contiguous share of a part's rows, all shares equal, so that no rank waits for a batch that
another has not. A share that fits the budget is encoded once and kept; a larger one is streamed every epoch:
row groups in random order into a shuffle buffer, which is permuted and cut into batches. Everything random follows from
``(seed, epoch, rank)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from jobs.contracts import storage
from jobs.contracts.dataset import Manifest
from jobs.contracts.errors import InputError
from jobs.scoring.encode import Encoder
from jobs.scoring.scorer import TEXTS
from jobs.scoring.tasks import labels_of

BUDGET = 256 << 20  # bytes of encoded tensors that one process may hold
_BYTES = 4  # per value: int32 categories, float32 numbers and labels


@dataclass(frozen=True)
class Rows:
    """Encoded rows: ``categorical`` int32 [n, C], ``numeric`` float32 [n, N], ``labels`` float32 [n]."""

    categorical: Tensor
    numeric: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Rows:
        return Rows(self.categorical.index_select(0, index), self.numeric.index_select(0, index), self.labels.index_select(0, index))

    def slice(self, start: int, stop: int) -> Rows:
        return Rows(self.categorical[start:stop], self.numeric[start:stop], self.labels[start:stop])

    def pin(self) -> Rows:
        return Rows(self.categorical.pin_memory(), self.numeric.pin_memory(), self.labels.pin_memory())

    def to(self, device: str, *, non_blocking: bool) -> Rows:
        return Rows(*(tensor.to(device, non_blocking=non_blocking) for tensor in (self.categorical, self.numeric, self.labels)))


def concatenate(pieces: Sequence[Rows]) -> Rows:
    return (
        pieces[0] if len(pieces) == 1 else Rows(*(torch.cat(tensors) for tensors in zip(*((p.categorical, p.numeric, p.labels) for p in pieces), strict=True)))
    )


@dataclass(frozen=True)
class Piece:
    """Rows ``start`` to ``stop`` of one row group of one file."""

    path: str
    group: int
    start: int
    stop: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


class Loader:
    """One rank's share of one part of a dataset, as batches.

    ``even`` makes all shares equal by leaving out up to ``world - 1`` last rows (training needs it); otherwise every row
    falls in exactly one share. ``budget`` is in bytes. ``classes``: of a label that is one of several.
    """

    def __init__(
        self,
        uri: str,
        manifest: Manifest,
        part: str,
        encoder: Encoder,
        *,
        classes: Sequence[str] = (),
        rank: int = 0,
        world: int = 1,
        even: bool = True,
        budget: int = BUDGET,
    ) -> None:
        self._encoder, self._label, self._classes, self._rank = encoder, manifest.label.name, classes, rank
        self._files, _ = storage.filesystem(uri)
        self._pieces = self._share(uri, manifest, part, rank, world, even)
        self._cached: Rows | None = None
        width = encoder.width + len(encoder.numeric) + 1
        self._capacity = max(1, budget // (width * _BYTES))  # rows
        self.rows = sum(piece.rows for piece in self._pieces)

    @property
    def width(self) -> int:
        """Columns of ``categorical``."""
        return self._encoder.width

    @property
    def in_memory(self) -> bool:
        return self.rows <= self._capacity

    def steps(self, batch: int) -> int:
        """Batches of :meth:`shuffled` in one epoch."""
        return max(1, self.rows // batch)

    def shuffled(self, batch: int, *, seed: int, epoch: int) -> Iterator[Rows]:
        """Batches of exactly ``batch`` rows in random order; the remainder of an epoch is left out (another one each time).

        A share smaller than one batch gives one batch of all its rows.
        """
        random = np.random.default_rng((seed, epoch, self._rank))
        batch = min(batch, self.rows)
        if self.in_memory:
            yield from _cut(self.all_rows(), batch, random)
            return
        pieces = [self._pieces[i] for i in random.permutation(len(self._pieces))]
        held: list[Rows] = []
        for rows in self._read(pieces):
            held.append(rows)
            # Half the budget: permuting makes a second copy of the buffer for a moment.
            if sum(map(len, held)) >= max(batch, self._capacity // 2):
                buffer = concatenate(held)
                whole = len(buffer) - len(buffer) % batch
                order = torch.from_numpy(random.permutation(len(buffer)))
                yield from _slices(buffer.take(order[:whole]), batch)
                held = [buffer.take(order[whole:])]
        yield from _cut(concatenate(held), batch, random)

    def in_order(self, batch: int) -> Iterator[Rows]:
        """Every row of the share once, in published order; the last batch may be smaller."""
        batch = min(batch, TEXTS) if self._encoder.texts else batch
        for rows in [self.all_rows()] if self.in_memory else self._read(self._pieces):
            yield from _slices(rows, batch)

    def all_rows(self) -> Rows:
        """The whole share, encoded; kept from the first call on. Only for a share that :attr:`in_memory` admits."""
        if self._cached is None:
            self._cached = concatenate(list(self._read(self._pieces)))
        return self._cached

    def _share(self, uri: str, manifest: Manifest, part: str, rank: int, world: int, even: bool) -> list[Piece]:
        groups = list(self._groups(uri, manifest, part))
        total = sum(piece.rows for piece in groups)
        if total < world:
            raise InputError(f"the part {part!r} has {total} rows for {world} workers", where=uri, hint="check the split, or use fewer workers")
        usable = total - total % world if even else total
        return _between(groups, rank * usable // world, (rank + 1) * usable // world)

    def _groups(self, uri: str, manifest: Manifest, part: str) -> Iterator[Piece]:
        for file in manifest.files_of(part):
            path = storage.filesystem(storage.join(uri, file.path))[1]
            metadata = pq.read_metadata(path, filesystem=self._files)
            for group in range(metadata.num_row_groups):
                yield Piece(path, group, 0, metadata.row_group(group).num_rows)

    def _read(self, pieces: Sequence[Piece]) -> Iterator[Rows]:
        """Encoded pieces; the next one is read while the caller works with this one (Arrow and torch release the GIL)."""
        with ThreadPoolExecutor(1, "loader") as reader:
            upcoming = reader.submit(self._encode, pieces[0])
            for following in pieces[1:]:
                ready, upcoming = upcoming, reader.submit(self._encode, following)
                yield ready.result()
            yield upcoming.result()

    def _encode(self, piece: Piece) -> Rows:
        names = [*self._encoder.names, self._label]
        with pq.ParquetFile(piece.path, filesystem=self._files, read_dictionary=list(self._encoder.categorical)) as file:
            table: pa.Table = file.read_row_group(piece.group, columns=names, use_threads=False).slice(piece.start, piece.rows)
        categorical, numeric = self._encoder.encode(dict(zip(table.column_names, table.columns, strict=True)), table.num_rows)
        labels = labels_of(table[self._label], self._classes).astype(np.float32)
        return Rows(torch.from_numpy(categorical.astype(np.int32)), torch.from_numpy(numeric), torch.from_numpy(labels))


def _between(groups: Sequence[Piece], start: int, stop: int) -> list[Piece]:
    """The pieces that cover rows ``start`` to ``stop`` of all groups laid end to end."""
    pieces, first = [], 0
    for group in groups:
        low, high = max(start - first, 0), min(stop - first, group.rows)
        if low < high:
            pieces.append(Piece(group.path, group.group, low, high))
        first += group.rows
    return pieces


def _cut(rows: Rows, batch: int, random: np.random.Generator) -> Iterator[Rows]:
    """Whole batches of all rows in random order, gathered one at a time."""
    order = torch.from_numpy(random.permutation(len(rows)))
    for start in range(0, len(rows) - batch + 1, batch):
        yield rows.take(order[start : start + batch])


def _slices(rows: Rows, batch: int) -> Iterator[Rows]:
    for start in range(0, len(rows), batch):
        yield rows.slice(start, start + batch)
