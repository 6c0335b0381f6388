"""A failed step to one error for the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.contracts.errors import RequestError, SeatrialError, StepFailed
from jobs.control.backend import Cause


def explain(step: str, told: Mapping[str, Any] | None, causes: Sequence[Cause], log: str) -> SeatrialError:
    """What the step said of itself (its ``error.json``), else what the target says of it."""
    if told is not None:
        kind = RequestError if told.get("exit_code") == RequestError.exit_code else StepFailed
        return kind(told["what"], where=f"{step}: {told['where']}" if told.get("where") else step, hint=told.get("hint") or f"read {log}")
    if causes:
        return StepFailed(causes[0].what, where=step, hint=f"{causes[0].hint}; the log is {log}")
    return StepFailed("the step ended without a word of why", where=step, hint=f"read {log}; the same command goes on from the last checkpoint")
