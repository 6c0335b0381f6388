"""The coordinator as a Ray actor: one per service, made by the first replica that has something to report.

It belongs to that replica and ends with it; the next report of another one makes it anew, and because reports are totals nothing
of the living replicas is lost. So it needs no clean-up when the service goes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import RayError

from serve.rollout.coordinator import Coordinator

log = logging.getLogger(__name__)

_TIMEOUT = 10.0  # seconds for one report; the first waits until the actor's process is up


def reporter(tracking_uri: str, name: str, alias: str) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    """A function for one thread of a replica: (replica, its totals) to the service's totals, both as plain values.

    Errors: RayError; the next call tries again.
    """
    held: list[Any] = []

    def report(replica: str, totals: dict[str, Any]) -> dict[str, Any]:
        try:
            if not held:
                held.append(_actor(tracking_uri, name, alias))
            return ray.get(held[0].report.remote(replica, totals), timeout=_TIMEOUT)  # type: ignore[no-any-return]
        except RayError:
            held.clear()
            raise

    return report


def _actor(tracking_uri: str, name: str, alias: str) -> Any:
    """Without a core of its own: it adds up a few numbers a second."""
    options = {"name": f"rollout-{name}-{alias}", "get_if_exists": True, "num_cpus": 0, "max_concurrency": 1}
    return ray.remote(Coordinator).options(**options).remote(tracking_uri, name)
