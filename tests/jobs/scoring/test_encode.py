"""Every way into the encoder gives the same tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.scoring.encode import Encoder

NAMES = ("size", "color", "weight", "shape")
ENCODER = Encoder(("color", "shape"), ("size", "weight"), {"color": ["red", "", "blue"], "shape": ["round", "é", "round"]})
TEXTS = st.none() | st.sampled_from(["red", "blue", "", "round", "é", "e\u0301", "green"]) | st.text(max_size=3)
NUMBERS = st.none() | st.floats(-3e38, 3e38, allow_nan=False) | st.just(-0.0)
ROWS = st.lists(st.tuples(NUMBERS, TEXTS, NUMBERS, TEXTS), max_size=5)


@given(ROWS)
def test_rows_lists_and_arrow_columns_agree(rows: list[tuple[Any, ...]]) -> None:
    values = {name: [row[place] for row in rows] for place, name in enumerate(NAMES)}
    arrow = {name: pa.array(column, pa.float64() if name in ENCODER.numeric else pa.string()) for name, column in values.items()}
    expected = ENCODER.encode(arrow, len(rows))
    for found in (ENCODER.encode(values, len(rows)), ENCODER.row_encoder(NAMES).encode(rows)):
        for one, other in zip(expected, found, strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("categorical", "numeric"), [((), ("x",)), (("c",), ()), (("c",), ("x",)), ((), ("x", "y"))])
def test_any_number_of_columns(categorical: tuple[str, ...], numeric: tuple[str, ...]) -> None:
    encoder = Encoder(categorical, numeric, {name: ["a", "b"] for name in categorical})
    row = ["b" if name == "c" else 0.5 for name in (*numeric, *categorical)]
    indexes, numbers = encoder.row_encoder((*numeric, *categorical)).encode([row, row])
    assert (indexes.tolist(), numbers.tolist()) == ([[2] * len(categorical)] * 2, [[0.5] * len(numeric)] * 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_arrays_of_numbers(dtype: Any) -> None:
    _, numbers = Encoder((), ("x",), {}).encode({"x": np.array([1, 7], dtype)}, 2)
    assert numbers.tolist() == [[1.0], [7.0]]
