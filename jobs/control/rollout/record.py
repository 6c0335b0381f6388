"""What a rollout is: the registry's aliases, and one record beside them that replicas read in the same poll.

The alias ``champion`` alone decides who answers in full. The record adds who is on trial and how, and where a rollback leads. Every
step leaves a copy of the record as it then was: that is the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

TAG = "seatrial.rollout"  # of the registered model: the record; TAG.000012 is the copy that step 12 left
KEPT = 50  # steps of the history; older ones are dropped
ELSEWHERE = "another tool"
_REASON = 300  # characters of a reason that are kept: a tag holds 5,000 in MLflow's smaller databases


class Mode(StrEnum):
    FULL = "full"
    SHADOW = "shadow"
    CANARY = "canary"


class Limits(BaseModel):
    """When a version on trial is taken back. All are compared with the champion over the same time, and none on too few requests."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: int = Field(default=200, ge=1, description="of the version on trial before anything is judged")
    errors: float = Field(default=0.02, ge=0, le=1, description="by how much its share of failed requests may exceed the champion's")
    latency: float = Field(default=2.0, ge=1, description="at most 1 % of its requests may take longer than this many times the champion's p99")
    scores: float | None = Field(default=0.25, gt=0, description="population stability index between both score distributions; null = not judged")
    watch: float = Field(default=600, ge=0, description="seconds for which a version that went live in full is watched")


class Rollout(BaseModel):
    """The record after one step."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    revision: int = Field(default=0, description="counts the steps; 0 = none was taken yet")
    mode: Mode = Mode.FULL
    champion: str = Field(default="", description="version that answers after this step")
    challenger: str = Field(default="", description="version on trial; empty in mode full")
    previous: str = Field(default="", description="champion before this one, to which a rollback leads; empty = to none")
    percent: float = Field(default=0, ge=0, le=100, description="share of requests that the challenger answers")
    limits: Limits = Limits()
    started: float = Field(default=0, description="seconds since 1970")
    action: str = Field(default="", description="promote or rollback")
    by: str = Field(default="", description="you, gate, limits")
    reason: str = ""

    def text(self) -> str:
        return self.model_copy(update={"reason": self.reason[:_REASON]}).model_dump_json(exclude_defaults=True)


def parse(tags: Mapping[str, str]) -> Rollout:
    """The record among a model's tags; an empty one where there is none, or none that this Seatrial understands."""
    return _parse(tags.get(TAG, ""))


def history(tags: Mapping[str, str]) -> list[Rollout]:
    """Every step that is still kept, oldest first."""
    steps = [_parse(value) for key, value in tags.items() if key.startswith(f"{TAG}.")]
    return sorted((step for step in steps if step.revision), key=lambda step: step.revision)


def step_tag(revision: int) -> str:
    return f"{TAG}.{revision:06d}"


def settled(record: Rollout, champion: str) -> Rollout:
    """The record as it holds now, where ``champion`` is the version that the alias points to.

    An alias that somebody else moved ends a trial: what was tried against the old champion says nothing about the new one.
    """
    if record.champion == champion:
        return record
    moved: dict[str, Any] = {"mode": Mode.FULL, "champion": champion, "challenger": "", "percent": 0, "by": ELSEWHERE, "action": "promote"}
    moved |= {"previous": record.champion, "limits": Limits(), "started": 0, "reason": "the alias was moved outside of Seatrial" if record.revision else ""}
    return record.model_copy(update=moved)


def _parse(text: str) -> Rollout:
    try:
        return Rollout.model_validate_json(text) if text else Rollout()
    except ValidationError:
        return Rollout()
