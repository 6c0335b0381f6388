"""A step that wants a GPU: placed where a node offers one, explained by the doctor where none does."""

from __future__ import annotations

import json

from cluster.bringup.gpu import RESOURCE
from cluster.bringup.waiting import World
from tests.cluster_real.sandbox import Sandbox

GPU = ("steps.train.resources.gpu=1", "steps.train.resources.workers=1", "steps.train.params.seed=11")


def test_a_gpu_pod_is_placed_or_explained(sandbox: Sandbox) -> None:
    offered = sum(int(node["status"].get("allocatable", {}).get(RESOURCE, 0)) for node in sandbox.kubectl.list("nodes"))
    handle, run = sandbox.submit("train", *GPU)
    try:
        if offered:
            sandbox.wait("pods", lambda world: _placed(world, run))
        else:
            sandbox.wait("events", _refused)
            answer = sandbox.run("doctor", handle, "--output", "json")
            (found,) = json.loads(answer.stdout)
            assert any(cause["name"] == "unschedulable" and RESOURCE in cause["rationale"] for cause in found["causes"]), found
    finally:
        assert sandbox.run("stop", handle).returncode == 0


def _placed(world: World, run: str) -> str:
    mine = [pod for pod in world.all("pods") if (pod["metadata"].get("labels") or {}).get("seatrial.dev/run") == run]
    placed = [pod for pod in mine if pod["spec"].get("nodeName") and RESOURCE in str(pod["spec"]["containers"][0].get("resources"))]
    return "" if placed else "no pod with a GPU has a node yet"


def _refused(world: World) -> str:
    said = [event for event in world.all("events") if event.get("reason") == "FailedScheduling" and RESOURCE in event.get("message", "")]
    return "" if said else "the scheduler has not spoken yet"
