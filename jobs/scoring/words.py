"""Free text to words and words to numbers: the tokenizer of a bundle, the same in the ETL, in training and in serving.

A word is a run of letters and digits in lower case, every digit as 0 (so that 1999 and 2024 are one word), or one other
visible character. Nothing is fitted here: which words count lies in the bundle's ``tokens.json``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

PADDING, UNKNOWN, FIRST = 0, 1, 2  # places in the tensor: behind the end of the text, not in the vocabulary, first known word
LONGEST = 40  # characters of a word; what is longer is no word that comes again

_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")
_DIGIT = re.compile(r"\d")


def split(text: str) -> list[str]:
    """The words of a text, in order."""
    plain = _DIGIT.sub("0", unicodedata.normalize("NFKC", text).lower())
    return [word[:LONGEST] for word in _WORD.findall(plain)]


class Tokenizer:
    """``length`` words of a text as their places in ``tokens``; safe from threads."""

    def __init__(self, length: int, tokens: Sequence[str]) -> None:
        self.length = length
        self._places: Mapping[str, int] = {token: place for place, token in enumerate(tokens, FIRST)}

    def places(self, text: str | None) -> NDArray[np.int64]:
        """int64 [length]; a null is a text without words."""
        found = np.zeros(self.length, np.int64)
        if text:
            known = [self._places.get(word, UNKNOWN) for word in split(text)[: self.length]]
            found[: len(known)] = known
        return found
