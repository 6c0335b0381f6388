"""One measurement of a program: its time, its peak memory and what it printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

REPOSITORY = Path(__file__).parents[1]
_SAMPLED = 0.1  # seconds between looks at the memory
_LIMIT = 900  # seconds


@dataclass(frozen=True)
class Sample:
    """``value`` in the unit of its comparison; ``memory`` in bytes, 0 where it was not asked for."""

    value: float
    memory: int = 0


@dataclass(frozen=True)
class Ended:
    """A program that ended well. ``memory``: the largest sum of proportional shares (PSS) of it and its children that was seen, in bytes."""

    seconds: float
    memory: int
    output: str

    def told(self) -> dict[str, Any]:
        """The last JSON object that it printed on a line of its own."""
        line = next(line for line in reversed(self.output.splitlines()) if line.startswith("{"))
        return json.loads(line)  # type: ignore[no-any-return]


def python(*words: str, environment: Mapping[str, str] | None = None, folder: Path = REPOSITORY) -> Ended:
    """``python WORDS`` in a process of its own.

    Errors: SystemExit with the end of what it wrote, where it failed.
    """
    return program([sys.executable, *words], environment=environment, folder=folder)


def program(argv: Sequence[str], *, environment: Mapping[str, str] | None = None, folder: Path = REPOSITORY) -> Ended:
    """Errors: SystemExit with the end of what it wrote, where it failed."""
    started = time.perf_counter()
    process = subprocess.Popen(
        argv, cwd=folder, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    watch = _Watch(process.pid)
    output, errors = process.communicate(timeout=_LIMIT)
    seconds = time.perf_counter() - started
    memory = watch.stop()
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}:\n{(errors + output)[-3000:]}")
    return Ended(seconds, memory, output)


class _Watch:
    """Looks at a process and its children until it is told to stop."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._done = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return self._peak

    def _look(self) -> None:
        while not self._done.wait(_SAMPLED):
            self._peak = max(self._peak, _memory(self._pid))


def _memory(pid: int) -> int:
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(map(_share, family))


def _share(process: psutil.Process) -> int:
    try:
        told = process.memory_full_info()
    except (psutil.Error, OSError):  # it has just ended
        return 0
    return int(getattr(told, "pss", 0) or told.uss)  # macOS knows no PSS
