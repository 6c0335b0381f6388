"""Every word in which a RayJob or a Job says how it is, as a state."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.states import STOPPED, state_of
from jobs.contracts.states import JobState

WAITING = {"spec": {}, "status": {"phase": "Pending"}}
PLACED = {"spec": {"nodeName": "node-1"}, "status": {"phase": "Pending"}}
RUNNING = {"spec": {"nodeName": "node-1"}, "status": {"phase": "Running"}}
FAILED = {"spec": {"nodeName": "node-1"}, "status": {"phase": "Failed"}}


def ray_job(deployment: str = "", ray: str = "", *, stopped: bool = False, suspend: bool = False, **metadata: Any) -> dict[str, Any]:
    marks = {"annotations": {STOPPED: "true"}} if stopped else {}
    status = {"jobDeploymentStatus": deployment, "jobStatus": ray}
    return {"kind": "RayJob", "metadata": {**marks, **metadata}, "spec": {"suspend": suspend}, "status": status}


def job(*conditions: str, stopped: bool = False, **metadata: Any) -> dict[str, Any]:
    marks = {"annotations": {STOPPED: "true"}} if stopped else {}
    held = [{"type": each, "status": "True"} for each in conditions] + [{"type": "Failed", "status": "False"}] * (not conditions)
    return {"kind": "Job", "metadata": {**marks, **metadata}, "spec": {}, "status": {"conditions": held}}


@pytest.mark.parametrize(
    ("deployment", "ray", "pods", "expected"),
    [
        ("", "", [], JobState.QUEUED),
        ("Initializing", "", [PLACED], JobState.STARTING),
        ("Initializing", "", [RUNNING, WAITING], JobState.QUEUED),
        ("Waiting", "", [RUNNING], JobState.STARTING),
        ("Running", "", [RUNNING], JobState.STARTING),
        ("Running", "PENDING", [RUNNING], JobState.STARTING),
        ("Running", "RUNNING", [RUNNING], JobState.RUNNING),
        ("Running", "RUNNING", [RUNNING, WAITING], JobState.RUNNING),  # an elastic worker more
        ("Running", "SUCCEEDED", [RUNNING], JobState.RUNNING),  # its submitter is still closing
        ("Retrying", "FAILED", [], JobState.STARTING),
        ("Suspending", "", [RUNNING], JobState.QUEUED),  # by Kueue
        ("Suspended", "", [], JobState.QUEUED),
        ("Complete", "SUCCEEDED", [], JobState.SUCCEEDED),
        ("Complete", "STOPPED", [], JobState.STOPPED),
        ("Complete", "FAILED", [], JobState.FAILED),
        ("Failed", "RUNNING", [], JobState.FAILED),
        ("Failed", "", [], JobState.FAILED),
        ("ValidationFailed", "", [], JobState.FAILED),
    ],
)
def test_rayjobs(deployment: str, ray: str, pods: list[dict[str, Any]], expected: JobState) -> None:
    assert state_of(ray_job(deployment, ray), pods) == expected


@pytest.mark.parametrize(
    ("deployment", "ray", "suspend", "expected"),
    [
        ("", "", True, JobState.STOPPED),  # before KubeRay had begun
        ("Running", "RUNNING", True, JobState.STOPPING),
        ("Suspending", "", True, JobState.STOPPING),
        ("Suspended", "", True, JobState.STOPPED),
        ("Complete", "SUCCEEDED", True, JobState.SUCCEEDED),  # it had ended before it was stopped
        ("Failed", "", True, JobState.FAILED),
    ],
)
def test_rayjobs_that_were_stopped(deployment: str, ray: str, suspend: bool, expected: JobState) -> None:
    assert state_of(ray_job(deployment, ray, stopped=True, suspend=suspend), [RUNNING]) == expected


@pytest.mark.parametrize(
    ("conditions", "pods", "expected"),
    [
        ([], [], JobState.QUEUED),
        ([], [WAITING], JobState.QUEUED),
        ([], [PLACED], JobState.STARTING),
        ([], [RUNNING], JobState.RUNNING),
        ([], [FAILED], JobState.STARTING),  # its successor is on its way
        ([], [FAILED, WAITING], JobState.QUEUED),
        (["Suspended"], [], JobState.QUEUED),
        (["SuccessCriteriaMet"], [RUNNING], JobState.RUNNING),
        (["Complete"], [], JobState.SUCCEEDED),
        (["FailureTarget", "Failed"], [], JobState.FAILED),
    ],
)
def test_jobs(conditions: list[str], pods: list[dict[str, Any]], expected: JobState) -> None:
    assert state_of(job(*conditions), pods) == expected


@pytest.mark.parametrize(
    ("conditions", "expected"), [([], JobState.STOPPING), (["Suspended"], JobState.STOPPED), (["Complete"], JobState.SUCCEEDED), (["Failed"], JobState.FAILED)]
)
def test_jobs_that_were_stopped(conditions: list[str], expected: JobState) -> None:
    assert state_of(job(*conditions, stopped=True), [RUNNING]) == expected


def test_what_is_gone_and_what_is_going() -> None:
    assert state_of(None) == JobState.UNKNOWN
    assert state_of(job(deletionTimestamp="2026-11-24T10:00:00Z"), [RUNNING]) == JobState.STOPPING
    assert state_of(ray_job("Complete", "SUCCEEDED", deletionTimestamp="2026-11-24T10:00:00Z")) == JobState.SUCCEEDED


def test_an_object_without_a_status() -> None:
    assert state_of({"kind": "Job", "metadata": {}, "spec": {}}) == JobState.QUEUED
    assert state_of({"kind": "RayJob", "metadata": {}, "spec": {}}) == JobState.QUEUED
