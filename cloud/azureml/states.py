"""Azure ML's words for the state of a job and of a deployment."""

from __future__ import annotations

from jobs.contracts.states import JobState

_JOBS = {
    "NotStarted": JobState.QUEUED,
    "Queued": JobState.QUEUED,
    "Paused": JobState.QUEUED,
    "Preparing": JobState.STARTING,
    "Provisioning": JobState.STARTING,
    "Starting": JobState.STARTING,
    "Running": JobState.RUNNING,
    "Finalizing": JobState.RUNNING,
    "NotResponding": JobState.RUNNING,
    "CancelRequested": JobState.STOPPING,
    "Completed": JobState.SUCCEEDED,
    "Failed": JobState.FAILED,
    "Canceled": JobState.STOPPED,
}
_DEPLOYMENTS = {
    "creating": JobState.STARTING,
    "updating": JobState.STARTING,
    "scaling": JobState.STARTING,
    "succeeded": JobState.SUCCEEDED,
    "deleting": JobState.STOPPING,
    "failed": JobState.FAILED,
    "canceled": JobState.STOPPED,
}


def of_job(status: str) -> JobState:
    return _JOBS.get(status, JobState.UNKNOWN)


def of_deployment(status: str) -> JobState:
    return _DEPLOYMENTS.get((status or "").lower(), JobState.UNKNOWN)
