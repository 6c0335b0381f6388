"""Drift of what one replica answers, over the last hour: for metrics and ``seatrial serve top``. Reports read the prediction log."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import pyarrow as pa

from serve.rollout.answered import Batch
from serve.watching.drift import ColumnDrift, Counts, finite, measure

SLOT = 300.0  # seconds
SLOTS = 12  # an hour
COMPARE = 2.0  # seconds between two comparisons, which take a few milliseconds
ROWS = 2_000  # counted of one batch at most, evenly spread


class LiveDrift:
    """A watcher of ``serve.rollout.traffic``. Counts and compares on its thread; ``found`` and :meth:`state` may be read from any."""

    def __init__(self, clock: Any = time.monotonic) -> None:
        self._clock, self._compared = clock, -COMPARE
        self._slots: deque[tuple[float, dict[str, Counts]]] = deque(maxlen=SLOTS)
        self._champion = ""
        self.found: list[ColumnDrift] = []  # of the champion's traffic in the last hour; empty before there is any

    def see(self, batch: Batch, role: str) -> None:
        """A shadow sees a copy of the same rows, so it counts for nothing here; a canary's rows are judged by its own reference."""
        if batch.model.reference is None or role == "shadow":
            return
        if role == "champion":
            self._champion = batch.model.version
        sample = batch.sample(ROWS)
        counts = self._slot().setdefault(batch.model.version, Counts(batch.model.reference))
        counts.add(sample.columns, pa.array(sample.probabilities))

    def tick(self) -> None:
        now = self._clock()
        if self._slots and now - self._compared >= COMPARE:
            self._compared = now
            self.found = self._compare(now - SLOT * SLOTS)

    def _compare(self, oldest: float) -> list[ColumnDrift]:
        parts = [counts[self._champion] for started, counts in self._slots if started > oldest and self._champion in counts]
        if not parts:
            return []
        total = Counts(parts[0].reference)
        for part in parts:
            total = total + part
        return measure(total)

    def state(self) -> dict[str, Any]:
        shown = [{"column": each.name, "rows": each.rows, "psi": finite(each.psi), "ks": finite(each.ks), "drifted": each.drifted} for each in self.found]
        return {"drift": shown}

    def close(self) -> None:
        pass

    def _slot(self) -> dict[str, Counts]:
        now = self._clock()
        if not self._slots or now - self._slots[-1][0] > SLOT:
            self._slots.append((now, {}))
        return self._slots[-1][1]
