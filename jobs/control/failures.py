"""A failed step's folder to one error for the user."""

from __future__ import annotations

import json
from pathlib import Path

from jobs.contracts.errors import RequestError, SeatrialError, StepFailed
from jobs.contracts.job import ERROR

LOG = "log.txt"


def explain(step: str, folder: Path, code: int | None) -> SeatrialError:
    """What the step said of itself, or what its exit code says."""
    try:
        told = json.loads((folder / ERROR).read_bytes())
    except (OSError, ValueError):
        return StepFailed(f"the step {_ending(code)}", where=step, hint=f"read {folder / LOG}; the same command goes on from the last checkpoint")
    kind = RequestError if code == RequestError.exit_code else StepFailed
    return kind(told["what"], where=f"{step}: {told['where']}" if told.get("where") else step, hint=told.get("hint") or f"read {folder / LOG}")


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by signal {-code}" + (" (often: out of memory)" if code == -9 else "")
    return f"ended with exit code {code} and no word of why"
