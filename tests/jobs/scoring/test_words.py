"""The tokenizer: the same words and places on every way into the encoder."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from jobs.scoring.encode import Encoder
from jobs.scoring.words import LONGEST, Tokenizer, split

TOKENS = ["free", "0000", "!", "straße"]
ENCODER = Encoder(("color",), ("size",), {"color": ["red"]}, {"note": Tokenizer(3, TOKENS), "more": Tokenizer(2, ["a"])})
NAMES = ("note", "size", "more", "color")


def test_words_are_lower_case_and_digits_are_alike() -> None:
    assert split("FREE in 1999!! e-mail\tme_now") == ["free", "in", "0000", "!", "!", "e", "-", "mail", "me", "_", "now"]
    assert split("\u00a0\u2460 ﬁne") == ["0", "fine"]  # NFKC: a circled one, a ligature
    assert split("x" * 100) == ["x" * LONGEST]
    assert split(" \n") == []


def test_places_stop_at_the_length_and_null_has_no_words() -> None:
    tokenizer = Tokenizer(3, TOKENS)
    assert tokenizer.places("Free beer 2024 !").tolist() == [2, 1, 3]  # 1: a word that is not known
    assert tokenizer.places("!").tolist() == [4, 0, 0]
    assert tokenizer.places(None).tolist() == tokenizer.places("").tolist() == [0, 0, 0]


@given(st.lists(st.tuples(st.none() | st.text(max_size=12), st.floats(-9, 9), st.sampled_from(["a b", "", None]), st.sampled_from(["red", None])), max_size=4))
def test_rows_lists_and_arrow_columns_agree(rows: list[tuple[str | None, float, str | None, str | None]]) -> None:
    values = {name: [row[place] for row in rows] for place, name in enumerate(NAMES)}
    arrow = {name: pa.array(column, pa.float64() if name == "size" else pa.string()) for name, column in values.items()}
    expected = ENCODER.encode(arrow, len(rows))
    assert expected[0].shape == (len(rows), ENCODER.width) == (len(rows), 6)
    for found in (ENCODER.encode(values, len(rows)), ENCODER.row_encoder(NAMES).encode(rows)):
        for one, other in zip(expected, found, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
