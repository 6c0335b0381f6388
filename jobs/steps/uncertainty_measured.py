"""Whether what was fitted on the validation part holds on the test part: temperature, threshold by costs, prediction intervals."""

from __future__ import annotations

from pydantic import BaseModel, Field

from jobs.contracts.bundle import Bundle, Costs, Interval, PredictionInterval
from jobs.scoring.conformal import covered
from jobs.scoring.costs import cost_of
from jobs.scoring.metrics import Floats
from jobs.steps.contenders import Contender
from jobs.steps.slices import wilson

ERROR = "calibration_error"
_NEVER, _ALWAYS = 2.0, 0.0  # thresholds that no probability and every probability reaches


class Calibration(BaseModel):
    """Expected calibration error without the temperature and with it."""

    temperature: float
    before: Interval
    after: Interval


class Policy(BaseModel):
    """One way to decide. ``cost``: mean per row, in the unit of the job's costs."""

    name: str
    threshold: float | None  # None where nobody looks at the model
    cost: float
    flagged: float  # share of rows with the answer yes
    false_positives: int
    false_negatives: int


class Coverage(BaseModel):
    """``covered``: share of test rows within their intervals; ``mean_width`` in the label's unit."""

    level: float
    covered: Interval
    mean_width: float


class Measured(BaseModel):
    calibration: Calibration | None = None
    policies: list[Policy] = Field(default_factory=list)
    coverage: Coverage | None = None


def measure(bundle: Bundle, model: Contender, uncalibrated: Contender | None, labels: Floats) -> Measured | None:
    """None for a bundle that was asked for none of it."""
    calibration = Calibration(temperature=bundle.temperature, before=uncalibrated.metrics[ERROR], after=model.metrics[ERROR]) if uncalibrated else None
    policies = _policies(bundle.costs, bundle.threshold, labels, model.scores) if bundle.costs else []
    found = Measured(calibration=calibration, policies=policies, coverage=_coverage(bundle.intervals, labels, model.scores))
    return found if found != Measured() else None


def _policies(costs: Costs, threshold: float, labels: Floats, scores: Floats) -> list[Policy]:
    named = [("the model's threshold", threshold), ("threshold 0.5", 0.5), ("always no", _NEVER), ("always yes", _ALWAYS)]
    return [_policy(name, each, labels, scores, costs) for name, each in named]


def _policy(name: str, threshold: float, labels: Floats, scores: Floats, costs: Costs) -> Policy:
    said = scores >= threshold
    return Policy(
        name=name,
        threshold=None if threshold in (_NEVER, _ALWAYS) else threshold,
        cost=cost_of(labels, scores, threshold, costs),
        flagged=float(said.mean()),
        false_positives=int((said & (labels == 0)).sum()),
        false_negatives=int((~said & (labels == 1)).sum()),
    )


def _coverage(intervals: PredictionInterval | None, labels: Floats, values: Floats) -> Coverage | None:
    if intervals is None:
        return None
    reach = intervals.half_width
    return Coverage(level=intervals.level, covered=wilson(covered(labels, values, reach), len(labels)), mean_width=2 * reach)
