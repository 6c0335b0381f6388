"""One set of states for every target."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    QUEUED = "Queued"  # accepted, waiting for resources
    STARTING = "Starting"  # resources found, images or processes coming up
    RUNNING = "Running"
    STOPPING = "Stopping"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"  # on request; not success
    UNKNOWN = "Unknown"  # the target no longer knows the job

    @property
    def is_final(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.STOPPED)
