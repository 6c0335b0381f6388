"""A command as a row of stages: each shown as it goes, each free to find that its work is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cluster.bringup.runner import Say
from jobs.contracts.errors import SeatrialError
from jobs.contracts.states import JobState
from jobs.control.progress import Progress, open_progress


@dataclass(frozen=True)
class Stage:
    """``work`` says on the way what it waits for, and returns what it did or found, in words."""

    name: str
    work: Callable[[Say], str]


def perform(stages: Sequence[Stage], *, quiet: bool = False) -> None:
    """One after the other; the first that fails ends it."""
    progress = open_progress([stage.name for stage in stages], quiet=quiet)
    try:
        for stage in stages:
            _perform(stage, progress)
    finally:
        progress.close()


def _perform(stage: Stage, progress: Progress) -> None:
    start = time.monotonic()
    progress.update(stage.name, JobState.RUNNING)
    try:
        did = stage.work(lambda text: progress.update(stage.name, JobState.RUNNING, _one_line(text)))
    except SeatrialError:
        progress.update(stage.name, JobState.FAILED, seconds=time.monotonic() - start)
        raise
    progress.update(stage.name, JobState.SUCCEEDED, did, seconds=time.monotonic() - start)


def _one_line(text: str, limit: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
