"""Does a version on trial do worse than the champion? Each rule asks for a difference that matters and that chance does not explain."""

from __future__ import annotations

import math

import numpy as np

from jobs.control.rollout.record import Limits
from serve.rollout.figures import Figures
from serve.watching.shift import stability_index, stability_noise

# Standard deviations. Replicas are looked at about once a second for hours, so a single look may err once in 30,000 times.
_SURE = 4.0
_CHANCE = 3e-5
_NOTICEABLE = 0.002  # seconds; a p99 that differs by less breaks nobody's limit


def broken(limits: Limits, champion: Figures, trial: Figures) -> str:
    """The first limit that the version on trial breaks, as a sentence; empty while it holds all of them."""
    if trial.requests < limits.requests:
        return ""
    return _errors(limits, champion, trial) or _latency(limits, champion, trial) or _scores(limits, champion, trial)


def _errors(limits: Limits, champion: Figures, trial: Figures) -> str:
    """Two shares differ by more than the limit, beyond the spread of their difference."""
    gap = trial.failure_rate - champion.failure_rate - limits.errors
    spread = math.sqrt(_variance(trial) + _variance(champion))
    if gap <= _SURE * spread:
        return ""
    return f"{trial.failure_rate:.1%} of {trial.requests:,} requests failed, {champion.failure_rate:.1%} of the champion's (limit: {limits.errors:.1%} more)"


def _variance(figures: Figures) -> float:
    """Of its share of failures, with two failures and two successes added (Agresti and Coull 1998): 0 of 10 is not certainty."""
    share = (figures.failed + 2) / (figures.requests + 4)
    return share * (1 - share) / (figures.requests + 4)


def _latency(limits: Limits, champion: Figures, trial: Figures) -> str:
    """More than 1 % of the trial's requests are slower than ``limits.latency`` times what 1 % of the champion's are."""
    if min(champion.timed, trial.timed) < limits.requests:
        return ""
    usual = champion.quantile(0.99)
    allowed = max(limits.latency * usual, usual + _NOTICEABLE)
    slow, share = trial.slower_than(allowed) / trial.timed, 0.01
    if slow <= share + _SURE * math.sqrt(share * (1 - share) / trial.timed):
        return ""
    return f"{slow:.1%} of {trial.timed:,} requests took longer than {1e3 * allowed:.1f} ms (the champion's p99: {1e3 * usual:.1f} ms; limit: 1 %)"


def _scores(limits: Limits, champion: Figures, trial: Figures) -> str:
    if limits.scores is None or min(champion.rows, trial.rows) < limits.requests:
        return ""
    index = stability_index(champion.scores, trial.scores)
    used = int(np.count_nonzero(champion.scores + trial.scores))
    noise = stability_noise(champion.rows, trial.rows, used, _CHANCE)
    if used < 2 or index <= limits.scores + noise:
        return ""
    return f"scores are distributed otherwise than the champion's: stability index {index:.2f} on {trial.rows:,} rows (limit: {limits.scores:.2f})"
