"""What ``submit --wait`` and ``status --wait`` share: wait for a job's end and say how it ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from jobs.contracts.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED
from jobs.contracts.states import JobState

if TYPE_CHECKING:
    from jobs.control.home import Home


def follow_to_end(home: Home, handle: str, timeout: float | None = None) -> tuple[JobState, int]:
    """Wait, telling each new state on standard error. Returns the last state and the exit code: 0 only for Succeeded."""
    from jobs.control import watching

    started = time.monotonic()

    def tell(state: JobState) -> None:
        click.echo(f"{time.monotonic() - started:6.1f} s  {state}", err=True)

    try:
        state = watching.wait(home, handle, timeout, tell)
    except KeyboardInterrupt:
        click.echo(f"the job goes on without this command; seatrial status {handle}", err=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
    if state == JobState.FAILED:
        click.echo(f"error: {watching.why_failed(home, handle)}", err=True)
    elif state == JobState.UNKNOWN:
        click.echo(f"the target does not know this job; next: seatrial doctor {handle}", err=True)
    elif not state.is_final:
        click.echo(f"still {state} after {timeout:g} s; the job goes on", err=True)
    return state, EXIT_DONE if state == JobState.SUCCEEDED else EXIT_FAILED
