"""Shows a run as it goes: one live line per step on a terminal, plain lines elsewhere. Always on standard error."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from jobs.contracts.states import JobState

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass
class Line:
    state: JobState = JobState.QUEUED
    message: str = ""
    started: float = 0.0
    seconds: float = 0.0
    fraction: float | None = None


class Progress(Protocol):
    def update(self, step: str, state: JobState, message: str = "", fraction: float | None = None, seconds: float | None = None) -> None: ...

    def note(self, text: str) -> None: ...

    def close(self) -> None: ...


def open_progress(steps: list[str], *, quiet: bool = False) -> Progress:
    if quiet:
        return Silent()
    return Terminal(steps) if sys.stderr.isatty() else Plain()


class Silent:
    def update(self, step: str, state: JobState, message: str = "", fraction: float | None = None, seconds: float | None = None) -> None:
        return

    def note(self, text: str) -> None:
        return

    def close(self) -> None:
        return


class Plain:
    """For logs and pipes: one line per change."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[JobState, str]] = {}
        self._start = time.monotonic()

    def update(self, step: str, state: JobState, message: str = "", fraction: float | None = None, seconds: float | None = None) -> None:
        if self._last.get(step) == (state, message) or (state == JobState.RUNNING and not message and step in self._last):
            return
        self._last[step] = (state, message)
        took = f" in {seconds:.1f} s" if seconds is not None else ""
        self.note(f"{step:<10} {state.lower()}{took}{': ' if message else ''}{message}")

    def note(self, text: str) -> None:
        print(f"[{time.monotonic() - self._start:6.1f} s] {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        return


_MARKS = {
    JobState.QUEUED: ("·", "dim"),
    JobState.RUNNING: ("▸", "cyan"),
    JobState.SUCCEEDED: ("✓", "green"),
    JobState.FAILED: ("✗", "red"),
    JobState.STOPPED: ("■", "yellow"),
}


class Terminal:
    """A table that redraws itself in place."""

    def __init__(self, steps: list[str]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._lines = {step: Line() for step in steps}
        self._live = Live(get_renderable=self._table, console=Console(stderr=True), refresh_per_second=8)
        self._live.start()

    def update(self, step: str, state: JobState, message: str = "", fraction: float | None = None, seconds: float | None = None) -> None:
        line = self._lines.setdefault(step, Line())
        if state == JobState.RUNNING and line.state != JobState.RUNNING:
            line.started = time.monotonic()
        line.state, line.message = state, message or line.message
        line.fraction = fraction if state == JobState.RUNNING else None
        line.seconds = seconds if seconds is not None else line.seconds

    def note(self, text: str) -> None:
        self._live.console.print(text, markup=False)

    def close(self) -> None:
        self._live.stop()

    def _table(self) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for step, line in self._lines.items():
            mark, style = _MARKS.get(line.state, ("?", "dim"))
            seconds = time.monotonic() - line.started if line.state == JobState.RUNNING else line.seconds
            bar = ProgressBar(total=1, completed=line.fraction, width=16) if line.fraction is not None else ""
            # A message may be any program's words, which are no markup.
            table.add_row(f"[{style}]{mark}[/]", step, f"{seconds:5.1f} s" if line.state != JobState.QUEUED else "", bar, Text(line.message))
        return table
