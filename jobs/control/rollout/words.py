"""A rollout in words."""

from __future__ import annotations

from jobs.control.rollout.record import Mode, Rollout


def sentence(rollout: Rollout) -> str:
    """Who answers, and who is on trial."""
    if rollout.mode == Mode.CANARY:
        return f"version {rollout.challenger} answers {rollout.percent:g} % of the requests, version {rollout.champion} the others"
    if rollout.mode == Mode.SHADOW:
        return f"version {rollout.champion} answers, version {rollout.challenger} scores a copy of the traffic"
    back = f"; a rollback leads to version {rollout.previous}" if rollout.previous else ""
    return f"version {rollout.champion} answers{back}" if rollout.champion else "no version answers yet"


def step_name(rollout: Rollout) -> str:
    """``canary 10 % of 3``, as a line of the history says it."""
    if rollout.action == "rollback":
        return f"rollback to {rollout.champion}"
    if rollout.mode == Mode.FULL:
        return f"full {rollout.champion}"
    return f"canary {rollout.percent:g} % of {rollout.challenger}" if rollout.mode == Mode.CANARY else f"shadow {rollout.challenger}"
