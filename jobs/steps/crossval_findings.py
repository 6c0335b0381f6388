"""Everything that one cross-validation found out, before any of it is drawn or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from jobs.contracts.dataset import Manifest
from jobs.contracts.job import Job
from jobs.steps import crossval_numbers
from jobs.steps.crossval_fold import Result
from jobs.steps.crossval_numbers import Comparison
from jobs.steps.crossval_settings import MODEL, OTHER, Settings


@dataclass(frozen=True)
class Findings:
    job: Job
    manifest: Manifest
    settings: Settings
    folds: int
    results: Sequence[Result]
    recorded: dict[str, Any]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The first one is the one that headlines show."""
        return tuple(self.results[0].metrics)

    def of(self, role: str) -> list[Result]:
        """Results with all training rows, in order of the folds."""
        return [result for result in self.results if result.role == role and result.share == 1]

    def entry(self, role: str) -> str:
        return self.job.entry if role == MODEL or self.settings.compare is None else self.settings.compare.entry

    def comparisons(self) -> dict[str, Comparison]:
        found = {name: crossval_numbers.compare(self.results, name) for name in self.metrics}
        return {name: each for name, each in found.items() if each is not None}

    def numbers(self) -> dict[str, Any]:
        """The content of ``crossval.json``."""
        roles = [role for role in (MODEL, OTHER) if self.of(role)]
        return {
            "dataset": self.manifest.fingerprint,
            "parts": list(self.settings.parts),
            "folds": self.folds,
            "models": {
                role: {
                    "entry": self.entry(role),
                    "metrics": {name: crossval_numbers.mean(self.of(role), name).model_dump() for name in self.metrics},
                    "folds": [result.metrics for result in self.of(role)],
                }
                for role in roles
            },
            "comparison": {
                name: {"difference": each.difference.model_dump(), "wins": each.wins, "folds": each.folds, "verdict": each.verdict(name)}
                for name, each in self.comparisons().items()
            },
            "learning_curve": {name: [asdict(point) for point in crossval_numbers.learning_curve(self.results, name)] for name in self.metrics},
            "units": [result.model_dump(exclude={"job"}) for result in self.results],
            "recorded": self.recorded,
        }
