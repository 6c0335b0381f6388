"""What a service does right now: the difference between two looks, summed over its replicas.

One look asks one replica, whichever the proxy chooses. So a frame asks several times and keeps the newest word of each replica; one
that has not answered for a while is taken as gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

State = dict[str, Any]

ASKS = 8  # per frame: with three replicas the chance to miss one is 4 %, and it was heard of a second ago
_GONE = 10.0  # seconds


@dataclass(frozen=True)
class Line:
    """One version. Rates are per second; latencies in ms, None without requests in the interval."""

    version: str
    role: str
    requests: float
    failed: float
    p50: float | None
    p99: float | None
    mean_score: float | None


@dataclass(frozen=True)
class Frame:
    seconds: float
    replicas: int
    lines: list[Line]
    drift: list[dict[str, Any]]  # of the replica that saw most rows
    problem: str
    unseen: int  # answers that were counted nowhere, because looking fell behind


@dataclass
class Top:
    """Keeps the states of the last frame. ``ask``: one look at the service, empty while it does not answer."""

    ask: Callable[[], State]
    clock: Callable[[], float] = time.monotonic
    _heard: dict[str, tuple[float, State]] = field(default_factory=dict)
    _before: dict[str, State] = field(default_factory=dict)
    _when: float = 0.0

    def frame(self) -> Frame:
        now = self.clock()
        for state in (self.ask() for _ in range(ASKS)):
            if state.get("replica"):
                self._heard[state["replica"]] = (now, state)
        self._heard = {replica: heard for replica, heard in self._heard.items() if now - heard[0] < _GONE}
        states = {replica: state for replica, (_, state) in self._heard.items()}
        seconds = now - self._when if self._when else 0.0
        made = Frame(
            seconds=seconds,
            replicas=len(states),
            lines=_lines(self._before, states, seconds),
            drift=max((state.get("drift", []) for state in states.values()), key=_rows, default=[]),
            problem=next((state["problem"] for state in states.values() if state.get("problem")), ""),
            unseen=sum(state.get("unseen", 0) for state in states.values()),
        )
        self._before, self._when = states, now
        return made


def _rows(drift: list[dict[str, Any]]) -> int:
    return max((each["rows"] for each in drift), default=0)


def _lines(before: Mapping[str, State], now: Mapping[str, State], seconds: float) -> list[Line]:
    versions: dict[str, str] = {}
    for state in now.values():
        for each in state.get("versions", ()):
            versions.setdefault(each["version"], each["role"])
    return [_line(version, role, before, now, seconds) for version, role in versions.items()]


def _line(version: str, role: str, before: Mapping[str, State], now: Mapping[str, State], seconds: float) -> Line:
    requests = failed = rows = 0
    latencies: dict[float, int] = {}
    score = 0.0
    for replica, state in now.items():
        new, old = _of(state, version), _since_step(before.get(replica, {}), state, version)
        requests += new.get("requests", 0) - old.get("requests", 0)
        failed += new.get("failed", 0) - old.get("failed", 0)
        rows += new.get("rows", 0)
        score += new.get("mean_score", 0.0) * new.get("rows", 0)
        for sign, found in ((1, new), (-1, old)):
            for bound, count in found.get("latencies", ()):
                latencies[_bound(bound)] = latencies.get(_bound(bound), 0) + sign * count
    rate = 1 / seconds if seconds else 0.0
    mean = score / rows if rows else None
    return Line(version, role, requests * rate, failed * rate, _quantile(latencies, 0.5), _quantile(latencies, 0.99), mean)


def _of(state: State, version: str) -> dict[str, Any]:
    return next((each for each in state.get("versions", ()) if each["version"] == version), {})


def _since_step(before: State, now: State, version: str) -> dict[str, Any]:
    """What had been counted already: nothing where a step was taken in between, because counting then begins anew."""
    revisions = [state.get("rollout", {}).get("revision") for state in (before, now)]
    old, new = _of(before, version), _of(now, version)
    return old if revisions[0] == revisions[1] and old.get("requests", 0) <= new.get("requests", 0) else {}


def _bound(bound: float | None) -> float:
    return float("inf") if bound is None else bound


def _quantile(latencies: Mapping[float, int], share: float) -> float | None:
    """Milliseconds: the upper bound of the bucket that holds it."""
    total, reached = sum(latencies.values()), 0
    if total <= 0:
        return None
    for bound in sorted(latencies):
        reached += latencies[bound]
        if reached >= share * total:
            return 1e3 * bound
    return None
