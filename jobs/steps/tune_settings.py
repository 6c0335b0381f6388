"""What a tune step is asked: the space that is searched, how many trials, what makes one better, and what all trials share."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from jobs.contracts.errors import RequestError, SpecError, complaint
from jobs.contracts.job import Job

_LESS_IS_BETTER = ("loss", "error", "rmse", "mae", "brier", "mape", "pinball")
_KINDS = {"uniform": "uniform", "loguniform": "loguniform", "integer": "int", "logint": "logint", "choice": "choice"}  # field -> in the job file
Limits = tuple[float, float]
Whole = tuple[int, int]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Domain(_Frozen):
    """The values of one parameter: exactly one of the five kinds."""

    uniform: Limits | None = None
    loguniform: Limits | None = None
    integer: Whole | None = Field(default=None, alias="int")  # both included
    logint: Whole | None = None
    choice: tuple[Any, ...] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Domain:
        kinds = [kind for name, kind in _KINDS.items() if getattr(self, name) is not None]
        if len(kinds) != 1:
            raise ValueError(f"give one of {', '.join(_KINDS.values())}")
        limits = self.limits
        if limits and limits[0] >= limits[1]:
            raise ValueError(f"{kinds[0]}: the first number must be below the second")
        if limits and self.logarithmic and limits[0] <= 0:
            raise ValueError(f"{kinds[0]}: both numbers must be above 0")
        if self.choice is not None and (len(self.choice) < 1 or not all(isinstance(each, bool | int | float | str) for each in self.choice)):
            raise ValueError("choice: give at least one number or text")
        return self

    @property
    def limits(self) -> Limits | Whole | None:
        return self.uniform or self.loguniform or self.integer or self.logint

    @property
    def whole(self) -> bool:
        return self.integer is not None or self.logint is not None

    @property
    def logarithmic(self) -> bool:
        return self.loguniform is not None or self.logint is not None


class EarlyStopping(_Frozen):
    """ASHA (Li et al. 2020): after ``grace`` epochs, and then at each ``factor``-fold, the worse trials end."""

    grace: int = Field(default=1, ge=1)
    factor: int = Field(default=3, ge=2)


class Settings(_Frozen):
    """``params`` of a tune step, but for those of the train step and the workload, which are in ``fixed``."""

    search: dict[str, Domain] = Field(min_length=1)
    trials: int = Field(default=20, ge=1, le=10_000)
    parallel: int = Field(default=0, ge=0)
    early_stopping: bool | EarlyStopping = True
    metric: str = "validation_loss"
    mode: Literal["", "min", "max"] = ""
    sampler: Literal["tpe", "random"] = "tpe"
    seed: int = Field(default=0, ge=0)
    fixed: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def of(cls, job: Job) -> Settings:
        """Errors: SpecError that names the place."""
        own = {name: value for name, value in job.params.items() if name in cls.model_fields}
        fixed = {name: value for name, value in job.params.items() if name not in own or name == "seed"}
        try:
            found = cls.model_validate({**own, "fixed": fixed})
        except ValidationError as error:
            what, where = complaint(error)
            raise SpecError(what, where=f"params.{where}", hint="search: {learning_rate: {loguniform: [0.001, 0.1]}}") from error
        if both := set(found.search) & set(fixed):
            raise SpecError(f"{min(both)!r} is both searched and given", where=f"params.{min(both)}", hint="leave one of them out")
        return found

    @property
    def direction(self) -> Literal["min", "max"]:
        """Whether less is better, where the job file does not say so: of a loss or an error it is."""
        return self.mode or ("min" if any(word in self.metric for word in _LESS_IS_BETTER) else "max")

    @property
    def asha(self) -> EarlyStopping | None:
        return (EarlyStopping() if self.early_stopping is True else self.early_stopping) or None

    def at_once(self, job: Job) -> int:
        """Trials that run side by side: one per worker, or fewer.

        Errors: RequestError for more than there are workers.
        """
        workers = job.resources.get("workers", 1)
        most = max(1, int(workers["max"] if isinstance(workers, dict) else workers))
        if self.parallel > most:
            hint = f"set resources.workers to {self.parallel}, or leave `parallel` out"
            raise RequestError(f"{self.parallel} trials at once need as many workers, and there are {most}", where="params.parallel", hint=hint)
        return min(self.parallel or most, self.trials)
