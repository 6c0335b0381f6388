"""Sums what the replicas saw and takes a version back when it breaks a limit. One per service; ``serve.rollout.actor`` hosts it in Ray.

Replicas send totals, not differences: a report that is lost or sent twice changes nothing, and after a restart the next reports
bring everything back.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from jobs.contracts.errors import RequestError, SeatrialError
from jobs.control.rollout.moves import LIMITS, rollback
from jobs.control.rollout.record import Mode
from serve.rollout.limits import broken
from serve.rollout.tally import Tally

log = logging.getLogger(__name__)

_RETRY = 5.0  # seconds before a rollback that the registry refused is tried again


class Coordinator:
    def __init__(self, tracking_uri: str, name: str) -> None:
        self._uri, self._name = tracking_uri, name
        self._replicas: dict[str, Tally] = {}
        self._settled = -1  # revision about which nothing is left to decide
        self._refused = 0.0

    def report(self, replica: str, plain: dict[str, Any]) -> dict[str, Any]:
        """Take one replica's totals; what all replicas together saw, by version (see :meth:`Figures.plain`)."""
        self._replicas[replica] = Tally.of_plain(plain)
        total = self.total()
        if total.rollout.revision > self._settled and total.under_trial(time.time()) and time.monotonic() - self._refused > _RETRY:
            self._judge(total)
        return {version: figures.plain() for version, figures in total.versions.items()}

    def total(self) -> Tally:
        """The sum over the replicas that follow the newest step; the others are about to."""
        newest = max(self._replicas.values(), key=lambda tally: tally.rollout.revision)
        total = Tally(newest.rollout)
        for tally in self._replicas.values():
            if tally.rollout.revision == newest.rollout.revision:
                total.before += tally.before
                for version, figures in tally.versions.items():
                    total.versions[version] = total.of(version) + figures
        return total

    def _judge(self, total: Tally) -> None:
        rollout, trial = total.rollout, total.rollout.challenger or total.rollout.champion
        if not (reason := verdict(total)):
            return
        log.warning("%s version %s is taken back: %s", self._name, trial, reason)
        try:
            rollback(self._uri, self._name, by=LIMITS, reason=f"version {trial}: {reason}", revision=rollout.revision)
        except RequestError as error:  # somebody took a step in between, or the former version is gone
            log.warning("%s: %s", self._name, error)
        except SeatrialError as error:
            self._refused = time.monotonic()
            log.warning("%s: %s", self._name, error)
            return
        self._settled = rollout.revision


def verdict(total: Tally) -> str:
    """Why the version on trial has to go; empty while it may stay."""
    rollout = total.rollout
    if rollout.mode == Mode.FULL:
        return broken(rollout.limits, total.before, total.of(rollout.champion)) if total.before.requests else ""
    return broken(rollout.limits, total.of(rollout.champion), total.of(rollout.challenger))
