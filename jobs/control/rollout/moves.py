"""The steps of a rollout. Each is one atomic write of the embedded registry; every running service follows within its poll.

promote --shadow      the challenger scores a copy of the traffic; nobody gets its answers
promote --canary 10   it answers 10 % of the requests, chosen by the hash of their id
promote --full        it becomes the champion; the former one stays loaded, ready to come back
rollback              the trial ends, or the former champion answers again
"""

from __future__ import annotations

import time
from typing import Any

from jobs.contracts.errors import RequestError
from jobs.control.registry import CHALLENGER, CHAMPION
from jobs.control.registry_reader import RegisteredModel, read_model, read_version
from jobs.control.registry_writer import Outdated, change
from jobs.control.rollout.record import KEPT, TAG, Limits, Mode, Rollout, parse, settled, step_tag

YOU, GATE, LIMITS = "you", "gate", "limits"  # who takes a step


def promote(
    tracking_uri: str,
    name: str,
    version: str,
    mode: Mode = Mode.FULL,
    *,
    percent: float = 0,
    limits: Limits | None = None,
    by: str = YOU,
    reason: str = "",
) -> Rollout:
    """Put a version on trial, or make it the champion.

    Errors: RequestError for a model or version that does not exist, for a trial without a champion, and where there is nothing to do.
    """
    model, before = _look(tracking_uri, name)
    if read_version(tracking_uri, name, version) is None:
        raise RequestError(f"{name} has no version {version}", where=tracking_uri, hint="seatrial models list")
    limits = limits or Limits(scores=None if mode == Mode.FULL else Limits().scores)
    given: dict[str, Any] = {"mode": mode, "limits": limits, "action": "promote", "by": by, "reason": reason}
    if mode == Mode.FULL:
        if before.champion == version and before.mode == Mode.FULL:
            raise RequestError(f"version {version} of {name} is the champion already", hint="seatrial serve status shows who answers")
        previous = before.previous if before.champion == version else before.champion
        after = before.model_copy(update=given | {"champion": version, "challenger": "", "previous": previous, "percent": 0})
        return _take(tracking_uri, name, model, after, {CHAMPION: version})
    if not before.champion:
        raise RequestError(f"{name} has no champion to compare with", hint=f"seatrial models promote {name} {version} --full makes this version the first one")
    if before.champion == version:
        raise RequestError(f"version {version} of {name} is the champion: it cannot be tried against itself", hint="seatrial models list")
    after = before.model_copy(update=given | {"challenger": version, "percent": percent if mode == Mode.CANARY else 0})
    return _take(tracking_uri, name, model, after, {CHALLENGER: version})


def rollback(tracking_uri: str, name: str, *, by: str = YOU, reason: str = "", revision: int | None = None) -> Rollout:
    """End the trial; without one, let the former champion answer again.

    ``revision``: only if the rollout still stands there.
    Errors: Outdated when it does not; RequestError when there is nothing to go back to.
    """
    model, before = _look(tracking_uri, name)
    if revision is not None and before.revision != revision:
        raise Outdated("somebody else changed the rollout meanwhile", where=name, hint="look at seatrial serve status, and decide again")
    given: dict[str, Any] = {"mode": Mode.FULL, "challenger": "", "percent": 0, "action": "rollback", "by": by, "reason": reason}
    if before.mode != Mode.FULL:
        return _take(tracking_uri, name, model, before.model_copy(update=given), {})
    if not before.previous or read_version(tracking_uri, name, before.previous) is None:
        hint = f"seatrial models list shows the versions, seatrial models promote {name} VERSION makes one the champion"
        raise RequestError(f"{name} has no earlier champion to go back to", hint=hint)
    # Without a previous one: a second rollback must not bring back what the first one took away.
    return _take(tracking_uri, name, model, before.model_copy(update=given | {"champion": before.previous, "previous": ""}), {CHAMPION: before.previous})


def _look(tracking_uri: str, name: str) -> tuple[RegisteredModel, Rollout]:
    model = read_model(tracking_uri, name)
    if model is None:
        raise RequestError(f"no model {name!r} is registered here", where=tracking_uri, hint="`seatrial run FILE` registers one")
    return model, settled(parse(model.tags), model.aliases.get(CHAMPION, ""))


def _take(tracking_uri: str, name: str, model: RegisteredModel, after: Rollout, aliases: dict[str, str]) -> Rollout:
    """Write one step: the aliases, a copy for the history and then the record itself."""
    step = after.model_copy(update={"revision": after.revision + 1, "started": time.time()})
    kept = sorted(tag for tag in model.tags if tag.startswith(f"{TAG}."))
    tags = {step_tag(step.revision): step.text(), TAG: step.text()}
    change(tracking_uri, name, tags=tags, aliases=aliases, forget=kept[: max(0, len(kept) + 1 - KEPT)], expect=(TAG, model.tags.get(TAG)))
    return step
