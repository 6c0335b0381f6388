"""Raw feature columns to the two input tensors of a bundle's model. Training, evaluation and serving all use this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Columns = Mapping[str, "pa.Array | pa.ChunkedArray"]


class Encoder:
    """Applies a bundle's vocabularies; stateless after construction and safe from threads.

    ``categorical`` and ``numeric`` name the columns in tensor order.
    """

    def __init__(self, categorical: Sequence[str], numeric: Sequence[str], vocabularies: Mapping[str, Sequence[str]]) -> None:
        self.categorical, self.numeric = tuple(categorical), tuple(numeric)
        self._values = {name: pa.array(vocabularies[name], pa.string()) for name in self.categorical}

    def encode(self, columns: Columns, rows: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Arrow columns of ``rows`` values to (int64 [rows, C], float32 [rows, N]); null is 0, or NaN."""
        indexes = np.zeros((rows, len(self.categorical)), np.int64)
        for position, name in enumerate(self.categorical):
            indexes[:, position] = _positions(columns[name], self._values[name])
        numbers = np.empty((rows, len(self.numeric)), np.float32)
        for position, name in enumerate(self.numeric):
            # Through float64 first: a client's JSON number and a Parquet double must round to the same float32.
            numbers[:, position] = columns[name].cast(pa.float64()).to_numpy(**_COPY if isinstance(columns[name], pa.Array) else {})
        return indexes, numbers


_COPY = {"zero_copy_only": False}  # pa.Array refuses to copy unless told; pa.ChunkedArray always copies


def _positions(column: pa.Array | pa.ChunkedArray, values: pa.Array) -> NDArray[np.int32]:
    """Position + 1 of each value in ``values``, 0 for null and unknown."""
    if not pa.types.is_dictionary(column.type):
        return pc.add(pc.fill_null(pc.index_in(column.cast(pa.string()), value_set=values), -1), 1).to_numpy(**_COPY if isinstance(column, pa.Array) else {})
    # Parquet keeps a text column as a dictionary; looking up its few values instead of every row takes a tenth of the time.
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    known = np.append(_positions(array.dictionary, values), np.int32(0))
    return known[pc.fill_null(array.indices, len(known) - 1).to_numpy(zero_copy_only=False)]
