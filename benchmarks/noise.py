"""Whether a machine is quiet enough to compare anything on it.

A fixed piece of work on all cores is timed before each measurement. Where other programs, a neighbour on the same host or a hot processor take
their share, its time spreads, and so would everything else's.
"""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

LIMIT = 1.25  # a probe above this many times the median one is slow
FEW = 0.2  # share of slow probes that is still quiet
_PIECE = bytes(1 << 20)
_PIECES = 64  # per core: some 50 ms


@dataclass
class Noise:
    probes: list[float] = field(default_factory=list)  # seconds

    def probe(self) -> None:
        """Uses every core for some 50 ms; hashing leaves Python's lock alone."""
        cores = os.cpu_count() or 1
        with ThreadPoolExecutor(cores) as pool:
            started = time.perf_counter()
            list(pool.map(_work, range(cores)))
            self.probes.append(time.perf_counter() - started)

    @property
    def slow(self) -> float:
        """Share of probes that took much longer than the median one."""
        if not self.probes:
            return 0.0
        return float(np.mean(np.asarray(self.probes) > LIMIT * np.median(self.probes)))

    @property
    def is_quiet(self) -> bool:
        return self.slow <= FEW


def _work(_: int) -> None:
    digest = hashlib.sha256()
    for _ in range(_PIECES):
        digest.update(_PIECE)


def idle_share(seconds: float = 2.0) -> float:
    """Share of the processors that nobody used for so long."""
    import psutil

    return 1 - float(psutil.cpu_percent(interval=seconds)) / 100
