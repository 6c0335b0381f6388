"""The record of a search: one small file per trial, written when it starts and when it ends.

checkpoints/trial-00003.json    which outlives a kill, also where the step's folder lies in an object store

A step that is started again repeats no trial that has ended; one that was under way goes first, with the parameters it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.contracts import storage


class TrialState(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped early"
    FAILED = "failed"


class Trial(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str = Field(description="fingerprint of the tune step")
    number: int
    params: dict[str, Any]
    state: TrialState = TrialState.RUNNING
    value: float | None = Field(default=None, description="the metric at the epoch with the lowest validation loss")
    epochs: int = 0
    curve: tuple[tuple[int, float], ...] = Field(default=(), description="epoch and metric")
    seconds: float = 0.0
    error: str = ""

    @property
    def ended(self) -> bool:
        return self.state != TrialState.RUNNING


def save(folder: Path, trial: Trial) -> None:
    storage.write_bytes(str(folder / f"trial-{trial.number:05d}.json"), trial.model_dump_json().encode())


def load(folder: Path, job: str) -> list[Trial]:
    """Trials of this job in order; a file that cannot be read counts as not there."""
    found = []
    for path in sorted(folder.glob("trial-*.json")):
        try:
            found.append(Trial.model_validate_json(path.read_bytes()))
        except ValidationError:
            continue
    return [trial for trial in found if trial.job == job]


def best(trials: Sequence[Trial], direction: str) -> Trial | None:
    """The best trial that ended with a value; of equals the first."""
    known = [trial for trial in trials if trial.ended and trial.value is not None]
    choose = min if direction == "min" else max
    return choose(known, key=lambda trial: trial.value or 0.0, default=None)
