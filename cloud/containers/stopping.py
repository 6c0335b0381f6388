"""SIGTERM, the cloud's word for "end within two minutes", passed on to whatever does the work."""

from __future__ import annotations

import collections
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

GRACE = 110.0  # seconds from SIGTERM to the kill; the clouds kill after 120, and the reason must be written by then
_TAIL = 40  # last lines of standard error that are kept for a failure's reason


@dataclass(frozen=True)
class Finished:
    """``code``: as a shell gives it, 128 + n for signal n. ``said``: the last lines of standard error."""

    code: int
    said: str


class Stopping:
    """Make one in the main thread, before anything starts."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.deadline = float("inf")  # on time.monotonic(): when the work is ended, whatever it does
        self._child: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: object) -> None:
        if not self.asked.is_set():
            self.deadline = time.monotonic() + GRACE
            self.asked.set()
        self._pass_on()

    def _pass_on(self) -> None:
        child = self._child
        if child is not None and child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)

    def run(self, command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> Finished:
        """Run a command to its end; a SIGTERM to this process reaches it, and after the grace it is killed."""
        if self.asked.is_set():
            return Finished(128 + signal.SIGTERM, "stopped before it began")
        child = subprocess.Popen(command, env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._child = child
        if self.asked.is_set():  # it came between the two lines above
            self._pass_on()
        tail: collections.deque[bytes] = collections.deque(maxlen=_TAIL)
        assert child.stderr
        reader = threading.Thread(target=_copy, args=(child.stderr, tail), daemon=True, name="stderr")
        reader.start()
        while True:
            try:
                code = child.wait(1)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() > self.deadline:
                    child.kill()
        self._child = None
        reader.join(2)  # a process that outlives the command may hold the pipe open
        return Finished(code if code >= 0 else 128 - code, b"".join(tail).decode(errors="replace").strip())


def _copy(stream: IO[bytes], tail: collections.deque[bytes]) -> None:
    for line in stream:
        tail.append(line)
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
