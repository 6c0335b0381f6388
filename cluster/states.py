"""A Kubernetes object's own words as a :class:`JobState`. Pure.

Stopping never deletes: it suspends the object and leaves the annotation ``seatrial.dev/stopped`` on it, in one patch. Suspending
removes every pod, so a suspended object with that mark *was stopped*; one without it waits for Kueue. Any later process reads that
from the object alone, and an object that ended before the patch reached it still says how it ended.

RayJob: ``status.jobDeploymentStatus`` is KubeRay's view and ``status.jobStatus`` is Ray's:
https://github.com/ray-project/kuberay/blob/v1.7.0/ray-operator/apis/ray/v1/rayjob_types.go
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs.contracts.states import JobState

STOPPED = "seatrial.dev/stopped"
Object = dict[str, Any]

_RAY_ENDS = {"SUCCEEDED": JobState.SUCCEEDED, "STOPPED": JobState.STOPPED, "FAILED": JobState.FAILED}


def state_of(body: Object | None, pods: Sequence[Object] = ()) -> JobState:
    """The state of a RayJob or Job; ``pods`` are its own and tell waiting from starting. None = the cluster does not know it."""
    if body is None:
        return JobState.UNKNOWN
    if (ended := _end(body)) is not None:
        return ended
    if body["metadata"].get("deletionTimestamp"):
        return JobState.STOPPING
    suspended = _is_suspended(body)
    if was_stopped(body):
        return JobState.STOPPED if suspended else JobState.STOPPING
    if suspended:
        return JobState.QUEUED
    return _ray_phase(body, pods) if body["kind"] == "RayJob" else _phase(pods)


def was_stopped(body: Object) -> bool:
    return STOPPED in (body["metadata"].get("annotations") or {})


def conditions(body: Object) -> dict[str, Object]:
    """Those that hold, by type."""
    found = (body.get("status") or {}).get("conditions") or ()
    return {each["type"]: each for each in found if each.get("status") == "True"}


def is_waiting(pod: Object) -> bool:
    """Not even placed on a node."""
    status = pod.get("status") or {}
    return status.get("phase", "Pending") == "Pending" and not pod.get("spec", {}).get("nodeName")


def is_running(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running"


def _end(body: Object) -> JobState | None:
    status = body.get("status") or {}
    if body["kind"] == "RayJob":
        deployment = status.get("jobDeploymentStatus", "")
        if deployment == "Complete":
            return _RAY_ENDS.get(status.get("jobStatus", ""), JobState.FAILED)
        return JobState.FAILED if deployment in ("Failed", "ValidationFailed") else None
    holding = conditions(body)
    if "Complete" in holding:
        return JobState.SUCCEEDED
    return JobState.FAILED if "Failed" in holding else None


def _is_suspended(body: Object) -> bool:
    status = body.get("status") or {}
    if body["kind"] == "RayJob":
        # Without a status KubeRay has begun nothing, so a suspended one has nothing to remove either.
        return status.get("jobDeploymentStatus", "") == "Suspended" or (not status.get("jobDeploymentStatus") and bool(body["spec"].get("suspend")))
    return "Suspended" in conditions(body)


def _ray_phase(body: Object, pods: Sequence[Object]) -> JobState:
    status = body.get("status") or {}
    deployment = status.get("jobDeploymentStatus", "")
    if deployment == "Running" and status.get("jobStatus") in ("RUNNING", *_RAY_ENDS):
        return JobState.RUNNING  # also when Ray's job has ended: its submitter is still closing
    if deployment in ("", "Suspending") or any(map(is_waiting, pods)):
        return JobState.QUEUED
    return JobState.STARTING


def _phase(pods: Sequence[Object]) -> JobState:
    if any(map(is_running, pods)):
        return JobState.RUNNING
    alive = [pod for pod in pods if (pod.get("status") or {}).get("phase", "Pending") == "Pending"]
    if not pods or (alive and all(map(is_waiting, alive))):
        return JobState.QUEUED
    return JobState.STARTING  # being placed, or a failed pod's successor is on its way
