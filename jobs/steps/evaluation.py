"""Everything that one evaluation found out, before any of it is drawn or written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobs.contracts.bundle import Bundle
from jobs.contracts.dataset import Manifest
from jobs.scoring import tasks
from jobs.scoring.metrics import Floats
from jobs.scoring.tasks import Task
from jobs.steps.contenders import Contender
from jobs.steps.gate import Gate, Verdict
from jobs.steps.importance import Importance
from jobs.steps.learning_curves import Curves
from jobs.steps.slices import Month, Slice
from jobs.steps.uncertainty_measured import Measured


@dataclass(frozen=True)
class Evaluation:
    """``contenders`` starts with the model itself; ``labels`` float64 [n] are those of the test rows (class numbers of several classes)."""

    manifest: Manifest
    bundle: Bundle
    contenders: list[Contender]
    labels: Floats
    gate: Gate
    verdict: Verdict
    slices: list[Slice]
    months: list[Month]
    importances: list[Importance]
    curves: Curves
    uncalibrated: Contender | None = None
    uncertainty: Measured | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def model(self) -> Contender:
        return self.contenders[0]

    @property
    def task(self) -> Task:
        return tasks.of(self.bundle.task)

    def numbers(self) -> dict[str, Any]:
        """The content of ``metrics.json``."""
        return {
            "dataset": self.manifest.fingerprint,
            "rows": {"test": len(self.labels)} | ({"positive": int(self.labels.sum())} if self.task.name == "binary" else {}),
            "contenders": {one.role: _contender(one) for one in self.contenders},
            "gate": self.gate.model_dump(mode="json"),
            "slices": [one.model_dump(mode="json") for one in self.slices],
            "months": [one.model_dump(mode="json") for one in self.months],
            "importance": [one.model_dump(mode="json") for one in self.importances],
            **({"uncertainty": self.uncertainty.model_dump(mode="json", exclude_defaults=True)} if self.uncertainty else {}),
            "notes": self.notes,
        }

    def judgement(self) -> dict[str, Any]:
        """The content of ``verdict.json``; ``metrics`` are the model's on the test part."""
        return {
            **self.verdict.model_dump(mode="json"),
            "metric": self.gate.metric,
            "metrics": {name: one.value for name, one in self.model.metrics.items()},
            "bundle": self.model.fingerprint,
            "dataset": self.manifest.fingerprint,
        }


def _contender(one: Contender) -> dict[str, Any]:
    return {
        "name": one.name,
        "bundle": one.fingerprint,
        "dataset": one.dataset,
        "threshold": one.threshold,
        "metrics": {name: found.model_dump(mode="json") for name, found in one.metrics.items()},
    }
