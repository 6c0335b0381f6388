"""What a cross-validation is asked, and the units of work that this makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jobs.contracts.dataset import FOLD, PARTS, Manifest, Role
from jobs.contracts.errors import InputError, SpecError, complaint
from jobs.contracts.job import Job

MODEL, OTHER = "model", "other"
_LEAST = 3  # folds: one tests, one says when to stop, one trains


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Other(_Frozen):
    """A second model for the same folds; its parameters are its own."""

    entry: str
    params: dict[str, Any] = Field(default_factory=dict)


class Settings(_Frozen):
    """``params`` of a cross-validation, but for those of the train step and the workload, which are in ``fixed``."""

    folds: int = Field(default=0, ge=0)
    parts: tuple[str, ...] = ("train", "validation")
    compare: Other | None = None
    learning_curve: tuple[float, ...] = ()
    curve_folds: int = Field(default=3, ge=1)
    fixed: dict[str, Any] = Field(default_factory=dict)

    @field_validator("parts")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or set(value) - set(PARTS):
            raise ValueError(f"parts are {', '.join(PARTS)}")
        return value

    @field_validator("learning_curve")
    @classmethod
    def _shares(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 < share < 1 for share in value):
            raise ValueError("shares are between 0 and 1; all rows are there in any case")
        return tuple(sorted(set(value)))

    @classmethod
    def of(cls, job: Job) -> Settings:
        """Errors: SpecError that names the place."""
        own = {name: value for name, value in job.params.items() if name in cls.model_fields}
        try:
            return cls.model_validate({**own, "fixed": {name: value for name, value in job.params.items() if name not in own}})
        except ValidationError as error:
            what, where = complaint(error)
            hint = f"a cross-validation takes {', '.join(sorted(set(cls.model_fields) - {'fixed'}))}"
            raise SpecError(what, where=f"params.{where}", hint=hint) from error

    def number(self, manifest: Manifest) -> int:
        """Folds to make of the dataset's own: fewer by taking them modulo, which keeps days together.

        Errors: InputError for a dataset without folds, or with fewer.
        """
        known = manifest.split.folds
        if not manifest.columns_of(Role.FOLD):
            raise InputError(f"the dataset has no column {FOLD!r}", where=manifest.name, hint="run the ETL again: it assigns folds by day")
        if not _LEAST <= (self.folds or known) <= known:
            hint = f"between {_LEAST} and {known}; the dataset's own number is `folds` of the workload's Features"
            raise InputError(f"{self.folds or known} folds cannot be made of a dataset with {known}", where="params.folds", hint=hint)
        return self.folds or known


@dataclass(frozen=True)
class Unit:
    """One model to train and test: on which fold, with which share of its training rows."""

    role: str
    fold: int
    share: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.role}-{self.fold:02d}" + (f"-{self.share:g}" if self.share < 1 else "")


def units(settings: Settings, folds: int) -> Iterator[Unit]:
    """Pairs of models on one fold are neighbours, so that a comparison grows as it goes."""
    for fold in range(folds):
        yield Unit(MODEL, fold)
        if settings.compare:
            yield Unit(OTHER, fold)
    for share in settings.learning_curve:
        yield from (Unit(MODEL, fold, share) for fold in range(min(folds, settings.curve_folds)))
