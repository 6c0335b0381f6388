"""When to train again: the policy file, and the decision it makes of what was seen.

model: flights                  registered name
pipeline: pipeline.yaml         job file that is run, relative to this file
target: local                   where it runs
set: ["steps.train.params.seed=8"]
every: 5m                       between two looks
cooldown: 6h                    after a run began, before the next one may
drift:                          leave a block out, and it triggers nothing
  columns: 1                    this many columns (the scores count as one) have drifted
  limit: 0.2                    population stability index from which a column has
  rows: 500                     answered by the champion, before anything is judged
  hours: 24
age: 30d                        of the champion
quality: {metric: roc_auc, drop: 0.05, labels: 200}    live interval lies wholly below the bundle's value less ``drop``
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jobs.contracts.errors import SpecError, complaint
from jobs.control.spec import seconds
from jobs.scoring.metrics import LOWER_IS_BETTER
from serve.watching.quality import Quality


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DriftRule(_Strict):
    columns: int = Field(default=1, ge=1)
    limit: float = Field(default=0.2, gt=0)
    rows: int = Field(default=500, ge=1)
    hours: float = Field(default=24, gt=0)


class QualityRule(_Strict):
    metric: Literal["roc_auc", "average_precision", "brier", "calibration_error", "f1"] = "roc_auc"
    drop: float = Field(default=0.05, ge=0)
    labels: int = Field(default=200, ge=50)


class Policy(_Strict):
    model: str = Field(min_length=1)
    pipeline: Path
    target: str = "local"
    set: tuple[str, ...] = ()
    every: str = "5m"
    cooldown: str = "6h"
    drift: DriftRule | None = None
    age: str = ""
    quality: QualityRule | None = None

    @field_validator("every", "cooldown", "age")
    @classmethod
    def _is_time(cls, value: str) -> str:
        if value:
            seconds(value)
        return value


@dataclass(frozen=True)
class Seen:
    """What one look found. ``age``: seconds since the champion was registered; ``reference``: its metric's value on the validation part."""

    rows: int = 0
    drifted: Sequence[str] = ()
    age: float = 0.0
    quality: Quality | None = None
    reference: float | None = None


def load(file: Path) -> Policy:
    """Errors: SpecError that names the field."""
    try:
        policy = Policy.model_validate(yaml.safe_load(file.read_text()) or {})
    except OSError as error:
        raise SpecError("the policy file cannot be read", where=str(file), hint="check the path") from error
    except yaml.YAMLError as error:
        raise SpecError(f"not YAML: {str(error).splitlines()[0]}", where=str(file), hint="see docs/guides/drift.md") from error
    except ValidationError as error:
        what, place = complaint(error)
        raise SpecError(f"{place or 'the file'}: {what}", where=str(file), hint="see docs/guides/drift.md") from error
    return policy.model_copy(update={"pipeline": (file.parent / policy.pipeline).resolve()})


def decide(policy: Policy, seen: Seen) -> str:
    """Why to train again now, as a sentence; empty for no reason."""
    return _drift(policy.drift, seen) or _age(policy.age, seen) or _quality(policy.quality, seen)


def _drift(rule: DriftRule | None, seen: Seen) -> str:
    if rule is None or seen.rows < rule.rows or len(seen.drifted) < rule.columns:
        return ""
    return f"drift of {', '.join(seen.drifted)} on {seen.rows:,} rows"


def _age(limit: str, seen: Seen) -> str:
    if not limit or seen.age <= seconds(limit):
        return ""
    return f"the champion is {seen.age / 86_400:.1f} days old (limit: {limit})"


def _quality(rule: QualityRule | None, seen: Seen) -> str:
    if rule is None or seen.quality is None or seen.reference is None or seen.quality.labelled < rule.labels:
        return ""
    found = seen.quality.metrics.get(rule.metric)
    if found is None:
        return ""
    lower = rule.metric in LOWER_IS_BETTER
    worse = found.low > seen.reference + rule.drop if lower else found.high < seen.reference - rule.drop
    return f"live {rule.metric} is {found.value:.3f}, {seen.reference:.3f} in validation, on {seen.quality.labelled:,} labels" if worse else ""
