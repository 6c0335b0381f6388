"""Raw feature columns to the two input tensors of a bundle's model. Training, evaluation and serving all use this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.scoring.words import Tokenizer

Columns = Mapping[str, "pa.Array | pa.ChunkedArray | list[Any] | NDArray[Any]"]


class Encoder:
    """Applies a bundle's vocabularies; stateless after construction and safe from threads.

    ``categorical`` and ``numeric`` name the columns in tensor order. The words of each of ``texts`` follow the categories,
    one column of the tensor per word.
    """

    def __init__(
        self, categorical: Sequence[str], numeric: Sequence[str], vocabularies: Mapping[str, Sequence[str]], texts: Mapping[str, Tokenizer] | None = None
    ) -> None:
        self.categorical, self.numeric, self.texts = tuple(categorical), tuple(numeric), dict(texts or {})
        self._values = {name: pa.array(vocabularies[name], pa.string()) for name in self.categorical}
        self._tables = {name: {value: index for index, value in reversed(list(enumerate(vocabularies[name], 1)))} for name in self.categorical}

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that is read."""
        return (*self.categorical, *self.texts, *self.numeric)

    @property
    def width(self) -> int:
        """Columns of the int64 tensor."""
        return len(self.categorical) + sum(tokenizer.length for tokenizer in self.texts.values())

    def encode(self, columns: Columns, rows: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Columns of ``rows`` values to (int64 [rows, C], float32 [rows, N]); null is 0, or NaN.

        Arrow columns, or lists of plain values with None for null, or arrays of numbers.
        """
        indexes = np.zeros((rows, self.width), np.int64)
        for position, name in enumerate(self.categorical):
            column = columns[name]
            if isinstance(column, list):
                find = self._tables[name].get
                indexes[:, position] = [find(value, 0) for value in column]
            else:
                indexes[:, position] = _positions(column, self._values[name])
        start = len(self.categorical)
        for name, tokenizer in self.texts.items():
            for row, text in enumerate(_plain(columns[name])):
                indexes[row, start : start + tokenizer.length] = tokenizer.places(text)
            start += tokenizer.length
        numbers = np.empty((rows, len(self.numeric)), np.float32)
        for position, name in enumerate(self.numeric):
            numbers[:, position] = _doubles(columns[name])
        return indexes, numbers

    def known(self, name: str) -> list[str]:
        """The values of a text column that the model tells apart."""
        return self._values[name].to_pylist()

    def row_encoder(self, names: Sequence[str]) -> RowEncoder:
        """For rows whose values come in the order of ``names``."""
        places = {name: place for place, name in enumerate(names)}
        texts = [(tokenizer, places[name]) for name, tokenizer in self.texts.items()]
        return RowEncoder([(self._tables[name], places[name]) for name in self.categorical], [places[name] for name in self.numeric], texts)


class RowEncoder:
    """:meth:`Encoder.encode` for few rows of plain values: an Arrow column costs 40 µs however short it is, a value here 0.1 µs."""

    def __init__(self, tables: Sequence[tuple[Mapping[str, int], int]], numbers: Sequence[int], texts: Sequence[tuple[Tokenizer, int]] = ()) -> None:
        self._tables, self._numbers, self._texts = tuple(tables), len(numbers), tuple(texts)
        # One place gives a bare value and none is an error, so both take the general way.
        self._pick: Any = itemgetter(*numbers) if len(numbers) > 1 else lambda row: [row[place] for place in numbers]

    def encode(self, rows: Sequence[Sequence[Any]]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows, each in the order of the names, to (int64 [rows, C], float32 [rows, N])."""
        tables, pick = self._tables, self._pick
        indexes = np.array([[table.get(row[place], 0) for table, place in tables] for row in rows], np.int64)
        numbers = np.array([pick(row) for row in rows], np.float64)
        indexes = indexes.reshape(len(rows), len(tables))
        for tokenizer, place in self._texts:
            words = np.array([tokenizer.places(row[place]) for row in rows], np.int64)
            indexes = np.concatenate([indexes, words.reshape(len(rows), tokenizer.length)], axis=1)
        return indexes, numbers.reshape(len(rows), self._numbers).astype(np.float32)


def _plain(column: pa.Array | pa.ChunkedArray | list[Any] | NDArray[Any]) -> list[Any]:
    return column.to_pylist() if isinstance(column, pa.Array | pa.ChunkedArray) else list(column)


def _doubles(column: pa.Array | pa.ChunkedArray | list[Any] | NDArray[Any]) -> NDArray[np.float64]:
    """Through float64 always: a client's JSON number and a Parquet double must round to the same float32."""
    if isinstance(column, list | np.ndarray):
        return np.asarray(column, np.float64)
    return column.cast(pa.float64()).to_numpy(**_COPY if isinstance(column, pa.Array) else {})  # type: ignore[no-any-return]


_COPY = {"zero_copy_only": False}  # pa.Array refuses to copy unless told; pa.ChunkedArray always copies


def _positions(column: pa.Array | pa.ChunkedArray, values: pa.Array) -> NDArray[np.int32]:
    """Position + 1 of each value in ``values``, 0 for null and unknown."""
    if not pa.types.is_dictionary(column.type):
        return pc.add(pc.fill_null(pc.index_in(column.cast(pa.string()), value_set=values), -1), 1).to_numpy(**_COPY if isinstance(column, pa.Array) else {})
    # Parquet keeps a text column as a dictionary; looking up its few values instead of every row takes a tenth of the time.
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    known = np.append(_positions(array.dictionary, values), np.int32(0))
    return known[pc.fill_null(array.indices, len(known) - 1).to_numpy(zero_copy_only=False)]
