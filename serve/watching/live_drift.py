"""Drift of what one replica answers, over the last hour: for metrics and ``seatrial serve top``. Reports read the prediction log."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import numpy as np
import pyarrow as pa

from serve.rollout.answered import Batch
from serve.watching.drift import ColumnDrift, Counts, finite, measure

SLOT = 300.0  # seconds
SLOTS = 12  # an hour
COMPARE = 2.0  # seconds between two comparisons; counting and comparing cost some milliseconds, however few the rows
ROWS = 2_000  # counted of one batch at most, evenly spread


class LiveDrift:
    """A watcher of ``serve.rollout.traffic``. Counts and compares on its thread, many batches at once; ``found`` and :meth:`state` may be read
    from any."""

    def __init__(self, clock: Any = time.monotonic) -> None:
        self._clock, self._compared = clock, -COMPARE
        self._slots: deque[tuple[float, dict[str, Counts]]] = deque(maxlen=SLOTS)
        self._champion = ""
        self._uncounted: dict[str, list[Batch]] = {}  # by version
        self.found: list[ColumnDrift] = []  # of the champion's traffic in the last hour; empty before there is any

    def see(self, batch: Batch, role: str) -> None:
        """A shadow sees a copy of the same rows, so it counts for nothing here; a canary's rows are judged by its own reference."""
        if batch.model.reference is None or role == "shadow":
            return
        if role == "champion":
            self._champion = batch.model.version
        self._uncounted.setdefault(batch.model.version, []).append(batch.sample(ROWS))

    def tick(self) -> None:
        now = self._clock()
        if (self._uncounted or self._slots) and now - self._compared >= COMPARE:
            self._compared = now
            self._count()
            self.found = self._compare(now - SLOT * SLOTS)

    def _count(self) -> None:
        uncounted, self._uncounted = self._uncounted, {}
        for version, batches in uncounted.items():
            reference = batches[0].model.reference
            assert reference is not None  # as :meth:`see` has seen
            columns = {name: pa.chunked_array([batch.columns[name] for batch in batches]) for name in batches[0].columns}
            scores = np.concatenate([batch.probabilities for batch in batches])
            self._slot().setdefault(version, Counts(reference)).add(columns, pa.array(scores))

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
