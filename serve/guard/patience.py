"""Ends requests that take too long, with one look per second at all of them: a timer for each would cost a tenth of the whole request."""

from __future__ import annotations

import asyncio
import time
from typing import Any

Task = asyncio.Task[Any]


class Patience:
    """On one event loop. A request is ended within ``seconds`` and the time between two looks."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since: dict[Task, float] = {}  # in order of their beginning
        self._ended: set[Task] = set()
        self._loop: asyncio.AbstractEventLoop | None = None  # on which the next look is due

    def begin(self) -> Task:
        """The running task counts from now on, until :meth:`end`."""
        task = asyncio.current_task()
        assert task is not None
        self._since[task] = time.monotonic()
        if self._loop is not (loop := task.get_loop()):
            self._loop = loop
            self._later(loop)
        return task

    def end(self, task: Task) -> None:
        self._since.pop(task, None)
        self._ended.discard(task)

    def ended(self, task: Task) -> bool:
        """Whether a cancellation of this task was ours, which is then done with."""
        if task not in self._ended:
            return False
        task.uncancel()
        return True

    def _later(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(min(1.0, self.seconds / 4), self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        for task, since in self._since.items():
            if now - since < self.seconds:
                break
            if task not in self._ended:
                self._ended.add(task)
                task.cancel()
        if self._since:
            self._later(loop)
        else:
            self._loop = None
