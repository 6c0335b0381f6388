"""Pods are killed as a machine that loses power would; each job goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from cluster.bringup.waiting import World
from jobs.control.backend import Backend
from tests.cluster_real.sandbox import Sandbox

EPOCHS = 30  # some 75 s: Ray's workers go on for up to a minute after their head
ALL_ROWS = ("steps.features.inputs.raw=raw-all", "steps.features.params.split=time")  # epochs of seconds, so that there is time to kill


def _running(world: World, **labels: str) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in world.all("pods")
        if pod["status"].get("phase") == "Running" and labels.items() <= (pod["metadata"].get("labels") or {}).items()
    ]


def test_a_killed_executor_is_replaced(sandbox: Sandbox) -> None:
    handle, run = sandbox.submit("features", *ALL_ROWS)
    mine = {"seatrial.dev/run": run, "spark-role": "executor"}
    world = sandbox.wait("pods", lambda world: "" if len(_running(world, **mine)) >= 2 else "two executors are not running yet")
    before = set(_running(world, **mine))
    # A pod that is gone before it has told the driver of itself was never an executor, and Spark waits minutes for it.
    _until(lambda: any(line.get("message") == "features" for line in sandbox.metrics(sandbox.backend(), run, "features")), lambda: sandbox.doctor(handle))
    victim = min(before)
    sandbox.kill(victim)
    world = sandbox.wait("pods", lambda world: "" if set(_running(world, **mine)) - before else "no replacement is running yet", limit=180)
    assert set(_running(world, **mine)) - before
    sandbox.ends_well(handle)


@pytest.mark.parametrize("role", ["worker", "head"])
def test_a_killed_training_pod_goes_on_from_a_checkpoint(sandbox: Sandbox, role: str) -> None:
    # A seed of its own makes it a training that nobody has done; so small steps get better in every epoch, and patience ends none.
    own = (f"steps.train.params.epochs={EPOCHS}", f"steps.train.params.seed={len(role)}", "steps.train.params.learning_rate=0.00002")
    handle, run = sandbox.submit("train", *ALL_ROWS, *own)
    backend = sandbox.backend()
    reached = _until_epoch(sandbox, backend, handle, run, 3)
    victims = sandbox.pods(handle, **{"ray.io/node-type": role})
    assert victims
    sandbox.kill(victims[0]["metadata"]["name"])
    sandbox.ends_well(handle)
    told = sandbox.metrics(backend, run, "train")
    resumed = [line["message"] for line in told if str(line.get("message", "")).startswith("resuming after epoch")]
    assert resumed, "it began anew"
    assert int(resumed[-1].split()[-1]) >= reached - 1


def _until_epoch(sandbox: Sandbox, backend: Backend, handle: str, run: str, epoch: int, limit: float = 900) -> int:
    def reached() -> int:
        return max((_epoch(line) for line in sandbox.metrics(backend, run, "train")), default=0)

    _until(lambda: reached() >= epoch, lambda: sandbox.doctor(handle), limit)
    return reached()


def _until(holds: Callable[[], bool], explain: Callable[[], str], limit: float = 600) -> None:
    """The store tells how far a job is; it cannot be watched, so it is asked."""
    deadline = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < deadline, explain()
        time.sleep(1)


def _epoch(line: dict[str, Any]) -> int:
    return int(line.get("epoch", 0))
