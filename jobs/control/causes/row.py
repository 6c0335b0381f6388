"""One row of the doctor's table: how a report is recognised, what it means, what to do next."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    name: str  # several rows may share one; only the first that fits is reported
    pattern: str
    what: str  # may use the pattern's named groups
    hint: str
    speak: Callable[[re.Match[str]], str] | None = None  # makes {words} of `what` from the match
    vague: bool = False  # says only that something failed: kept back when anything else was found

    def says(self, found: re.Match[str]) -> str:
        text = self.what.format(words=self.speak(found) if self.speak else "", **found.groupdict(default=""))
        return " ".join(text.split()).rstrip(" :.")  # a group that took no part leaves a gap
