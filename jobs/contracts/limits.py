"""A step holds itself to its time and memory, where nothing around it does: on this machine, also without a driver.

SEATRIAL_TIME_LIMIT     seconds
SEATRIAL_MEMORY_LIMIT   bytes, of this process and all below it, shared pages counted once (PSS where the system tells it)
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping

from jobs.contracts.errors import StepFailed

_LOOK = 2.0  # seconds between two looks: reading the maps of large processes costs milliseconds each
_GRACE = 20.0  # seconds for the step to clean up before it is ended on the spot


class Limits:
    """``broken`` is the error of the limit that was broken; then this process has been sent SIGTERM."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._seconds = float(env.get("SEATRIAL_TIME_LIMIT") or 0)
        self._bytes = int(env.get("SEATRIAL_MEMORY_LIMIT") or 0)
        self._started = time.monotonic()
        self.broken: StepFailed | None = None

    def watch(self) -> None:
        if self._seconds or self._bytes:
            threading.Thread(target=self._watch, daemon=True, name="limits").start()

    def _watch(self) -> None:
        while self.broken is None:
            left = self._seconds - (time.monotonic() - self._started) if self._seconds else _LOOK
            time.sleep(max(0.05, min(_LOOK, left)))
            self.broken = self._late() or self._large()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        os._exit(StepFailed.exit_code)

    def _late(self) -> StepFailed | None:
        if not self._seconds or time.monotonic() - self._started < self._seconds:
            return None
        return StepFailed(f"stopped after its time limit of {self._seconds:g} s", hint="raise `time_limit` in the job file")

    def _large(self) -> StepFailed | None:
        used = memory_used() if self._bytes else 0
        if used <= self._bytes:
            return None
        return StepFailed(
            f"used {used / 2**30:.1f} GiB of memory and may use {self._bytes / 2**30:.1f} GiB", hint="raise `resources.memory` in the job file, or use less"
        )


def memory_used(pid: int | None = None) -> int:
    """Bytes that a process and all below it use."""
    import psutil

    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for process in family:
        try:
            facts = process.memory_full_info()
            total += getattr(facts, "pss", 0) or facts.uss
        except psutil.Error:  # it has ended, or is not ours to look at
            continue
    return total
