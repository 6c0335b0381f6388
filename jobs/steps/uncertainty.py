"""What a train step fits on the validation part once the weights are found; the workload needs to know nothing of it.

    calibrate: none | temperature                       binary, multiclass    probabilities that can be taken at their word
    costs: {false_positive: 1, false_negative: 5}       binary                a threshold that costs least, in place of the highest F1's
    intervals: 0.9                                      regression, forecast  an interval around each value that holds this share of rows

The threshold is chosen on calibrated probabilities.

Early stopping looks at the validation part too, so that it flatters the model a little: only the test part tells how well these hold.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.contracts.bundle import Costs, PredictionInterval, TaskName
from jobs.contracts.errors import RequestError, complaint
from jobs.contracts.job import Job
from jobs.scoring import conformal, costs, metrics
from jobs.scoring.metrics import Array

_TASKS: dict[str, tuple[TaskName, ...]] = {"calibrate": ("binary", "multiclass"), "costs": ("binary",), "intervals": ("regression", "forecast")}


class Uncertainty(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    calibrate: Literal["none", "temperature"] = "none"
    costs: Costs | None = None
    intervals: float | None = Field(default=None, gt=0, lt=1)

    @classmethod
    def of(cls, job: Job) -> Uncertainty:
        """Errors: RequestError that names the parameter."""
        try:
            return cls.model_validate({name: value for name, value in job.params.items() if name in NAMES})
        except ValidationError as error:
            what, where = complaint(error)
            raise RequestError(what, where=f"params.{where}", hint=_EXAMPLE) from error

    def check(self, task: TaskName) -> None:
        """Errors: RequestError for a parameter that says nothing about this task."""
        for name, tasks in _TASKS.items():
            if getattr(self, name) != type(self).model_fields[name].default and task not in tasks:
                raise RequestError(f"{name!r} is for models of {' and '.join(tasks)}, and this one is for {task}", where=f"params.{name}", hint="leave it out")

    def threshold(self, labels: Array, scores: Array) -> float:
        """From which probability on the answer is yes; of validation labels 0/1 [n] and probabilities [n]."""
        return costs.cheapest_threshold(labels, scores, self.costs) if self.costs else metrics.best_f1_threshold(labels, scores)

    def interval(self, labels: Array, values: Array) -> PredictionInterval | None:
        """Of validation labels and predicted values, both [n]; None where none is asked for.

        Errors: InputError for too few rows.
        """
        level = self.intervals
        return PredictionInterval(level=level, half_width=conformal.half_width(labels, values, level)) if level else None


NAMES = frozenset(Uncertainty.model_fields)
_EXAMPLE = "for example calibrate: temperature, costs: {false_positive: 1, false_negative: 5}, intervals: 0.9"
