"""A drill tells its story as it happens, and keeps what its verdict needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Failed(Exception):
    """Something that should have survived did not."""


class Skipped(Exception):
    """This machine cannot perform the drill; the text says why."""


@dataclass
class Story:
    """``tell`` prints a line; ``check`` prints one with its outcome, and ends the drill when it does not hold."""

    tell: Callable[[str], None]
    faults: int = 0
    survived: int = 0
    rows_lost: int = 0
    requests: int = 0
    requests_failed: int = 0
    recoveries: list[float] = field(default_factory=list)  # seconds from each fault until the work went on or the answer came
    notes: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.tell(f"    {text}")

    def check(self, holds: object, text: str, evidence: object = "") -> None:
        self.tell(f"    {'ok ' if holds else 'BAD'} {text}")
        if not holds:
            raise Failed(f"{text}\n{evidence}" if evidence else text)

    @contextmanager
    def fault(self, text: str) -> Iterator[None]:
        """Break something inside, wait until it has recovered, and leave: the time in between is the recovery's."""
        self.faults += 1
        self.tell(f"  * {text}")
        started = time.monotonic()
        yield
        self.survived += 1
        self.recoveries.append(time.monotonic() - started)
