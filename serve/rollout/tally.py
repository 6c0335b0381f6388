"""What each version of one replica did since the last step of the rollout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobs.control.rollout.record import Mode, Rollout
from serve.rollout.figures import Figures


@dataclass
class Tally:
    """For one thread. ``before``: the champion's figures up to the last step, with which one that went live in full is compared."""

    rollout: Rollout = field(default_factory=Rollout)
    versions: dict[str, Figures] = field(default_factory=dict)
    before: Figures = field(default_factory=Figures)
    _whose: str = ""

    def follow(self, rollout: Rollout) -> None:
        """Begin anew at each step: a version is judged by what it did since."""
        if rollout.revision == self.rollout.revision and rollout.champion == self.rollout.champion:
            return
        champion = self.rollout.champion
        self.before = self.of(champion) + (self.before if self._whose == champion else Figures())
        self._whose, self.rollout, self.versions = champion, rollout, {}

    def of(self, version: str) -> Figures:
        return self.versions.setdefault(version, Figures())

    def plain(self) -> dict[str, Any]:
        return {
            "rollout": self.rollout.text(),
            "versions": {version: figures.plain() for version, figures in self.versions.items()},
            "before": self.before.plain(),
        }

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> Tally:
        versions = {version: Figures.of(figures) for version, figures in plain["versions"].items()}
        return cls(Rollout.model_validate_json(plain["rollout"]), versions, Figures.of(plain["before"]))

    def under_trial(self, now: float) -> bool:
        """Whether a limit could be broken now."""
        rollout = self.rollout
        if rollout.mode != Mode.FULL:
            return True
        return bool(rollout.previous) and rollout.action == "promote" and now - rollout.started < rollout.limits.watch
