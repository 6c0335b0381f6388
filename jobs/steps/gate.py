"""The gate: does this version become the champion, or stay a challenger? A pure function with reasons in sentences.

All models answer the same test rows, and every bootstrap sample draws the same rows for all of them (a *paired*
bootstrap), so the luck of the rows cancels in the difference. With ``low`` the lower end of the 95 % interval of
(this model - the other one), positive = this model is better:

    better than the baseline       low > 0
    not worse than the champion    low >= -margin     margin 0 asks for proof; 0.002 lets an equal model replace it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from jobs.contracts.bundle import Interval
from jobs.contracts.errors import SpecError
from jobs.scoring.tasks import METRICS, TASKS, Task
from jobs.steps.contenders import BASELINE, CHAMPION, Contender

_WORDS = {
    (BASELINE, True): "Better than",
    (BASELINE, False): "Not proven better than",
    (CHAMPION, True): "Not worse than",
    (CHAMPION, False): "Not proven as good as",
}


class Gate(BaseModel):
    """``params.gate`` of an evaluate step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = Field(default="", description="one of the task's; empty = its first one")
    beats: tuple[Literal["baseline", "champion"], ...] = ("baseline", "champion")
    margin: float = Field(default=0.0, ge=0, description="how much worse than the champion is still accepted, in units of the metric")

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        if metric not in ("", *METRICS):
            raise ValueError(f"no metric {metric!r}; there are {', '.join(METRICS)}")
        return metric

    def of(self, task: Task) -> Gate:
        """The same with its metric named.

        Errors: SpecError for a metric that the task does not have.
        """
        if self.metric and self.metric not in task.titles:
            hint = f"a model for {task.name} is measured by {', '.join(task.titles)}"
            raise SpecError(f"no metric {self.metric!r}", where="params.gate.metric", hint=hint)
        return self.model_copy(update={"metric": self.metric or task.primary})


class Comparison(BaseModel):
    """This model against another one; ``difference`` is positive where this model is better."""

    against: str
    difference: Interval
    passed: bool
    reason: str


class Verdict(BaseModel):
    champion: bool
    reasons: list[str]
    comparisons: list[Comparison] = Field(default_factory=list)


def decide(gate: Gate, model: Contender, others: Sequence[Contender], *, task: Task = TASKS["binary"], unfit: str = "") -> Verdict:
    """Compare ``model`` with those of ``others`` that the gate names; it is champion when every comparison passes.

    ``unfit`` says why an existing champion could not answer these rows: a version is not promoted past a champion
    that it was never compared with.
    """
    comparisons = [compare(gate, model, other, task=task) for other in others if other.role in gate.beats]
    reasons = [comparison.reason for comparison in comparisons]
    if CHAMPION in gate.beats and all(other.role != CHAMPION for other in others):
        reasons.append(unfit or "There is no champion yet to compare with.")
    passed = all(comparison.passed for comparison in comparisons) and not (unfit and CHAMPION in gate.beats)
    return Verdict(champion=passed, reasons=reasons, comparisons=comparisons)


def compare(gate: Gate, model: Contender, other: Contender, *, task: Task = TASKS["binary"]) -> Comparison:
    """One paired comparison on the gate's metric."""
    gate = gate.of(task)
    sign = task.better(gate.metric)
    value = sign * (model.metrics[gate.metric].value - other.metrics[gate.metric].value)
    difference = task.difference(gate.metric, value, sign * (model.draws[gate.metric] - other.draws[gate.metric]))
    passed = difference.low > 0 if other.role == BASELINE else difference.low >= -gate.margin
    return Comparison(against=other.role, difference=difference, passed=passed, reason=_sentence(gate, task, model, other, difference, passed))


def _sentence(gate: Gate, task: Task, model: Contender, other: Contender, difference: Interval, passed: bool) -> str:
    ours, theirs = model.metrics[gate.metric].value, other.metrics[gate.metric].value
    rule = "above 0" if other.role == BASELINE else f"at least {-gate.margin or 0.0:g}"
    return (
        f"{_WORDS[other.role, passed]} the {other.role}: {task.titles[gate.metric]} {ours:.4f} against {theirs:.4f}, an advantage of {difference.value:+.4f} "
        f"with a 95 % interval from {difference.low:+.4f} to {difference.high:+.4f}; its lower end must be {rule}."
    )
