"""SageMaker's words for a job's state, and why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloud.sagemaker.handles import ENDPOINT, PROCESSING, TRAINING
from jobs.contracts.states import JobState

_ENDED = {"Completed": JobState.SUCCEEDED, "Failed": JobState.FAILED, "Stopping": JobState.STOPPING, "Stopped": JobState.STOPPED}
_TRAINING = {
    "Pending": JobState.QUEUED,
    "Starting": JobState.STARTING,
    "LaunchingMLInstances": JobState.STARTING,
    "PreparingTrainingStack": JobState.STARTING,
    "Downloading": JobState.STARTING,
    "DownloadingTrainingImage": JobState.STARTING,
    "Interrupted": JobState.QUEUED,
    "Restarting": JobState.STARTING,
}
_CUT_OFF = ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")  # SageMaker calls such a job Stopped, but nobody asked for it
_ENDPOINT = {
    "Creating": JobState.STARTING,
    "Updating": JobState.STARTING,
    "SystemUpdating": JobState.STARTING,
    "RollingBack": JobState.STARTING,
    "InService": JobState.SUCCEEDED,
    "Deleting": JobState.STOPPING,
    "OutOfService": JobState.FAILED,
    "Failed": JobState.FAILED,
    "UpdateRollbackFailed": JobState.FAILED,
}


@dataclass(frozen=True)
class Kind:
    """How the operations of one kind of job are called."""

    describe: str
    stop: str
    name: str  # the parameter and field with its name
    status: str
    arn: str
    log_group: str


KINDS = {
    TRAINING: Kind("describe_training_job", "stop_training_job", "TrainingJobName", "TrainingJobStatus", "TrainingJobArn", "/aws/sagemaker/TrainingJobs"),
    PROCESSING: Kind(
        "describe_processing_job", "stop_processing_job", "ProcessingJobName", "ProcessingJobStatus", "ProcessingJobArn", "/aws/sagemaker/ProcessingJobs"
    ),
    ENDPOINT: Kind("describe_endpoint", "delete_endpoint", "EndpointName", "EndpointStatus", "EndpointArn", "/aws/sagemaker/Endpoints"),
}


def state_of(kind: str, described: Mapping[str, Any] | None) -> JobState:
    """``described``: the answer of its Describe operation, or None."""
    if described is None:
        return JobState.UNKNOWN
    status = described[KINDS[kind].status]
    if kind == ENDPOINT:
        return _ENDPOINT.get(status, JobState.UNKNOWN)
    if status == "Stopped" and was_cut_off(described):
        return JobState.FAILED
    if status != "InProgress":
        return _ENDED.get(status, JobState.UNKNOWN)
    if kind == TRAINING:
        return _TRAINING.get(described.get("SecondaryStatus", ""), JobState.RUNNING)
    return JobState.RUNNING if described.get("ProcessingStartTime") else JobState.STARTING


def was_cut_off(described: Mapping[str, Any]) -> bool:
    told = [described.get("SecondaryStatus", ""), described.get("FailureReason", ""), described.get("ExitMessage", "")]
    return any(word in text for word in _CUT_OFF for text in told)


def reasons(described: Mapping[str, Any]) -> list[str]:
    """What SageMaker says of a job that waits, failed or was cut off, the most telling first."""
    last = [each.get("StatusMessage", "") for each in described.get("SecondaryStatusTransitions", ())][-1:]
    texts = [described.get("FailureReason", ""), described.get("ExitMessage", ""), described.get("SecondaryStatus", ""), *last]
    return [text for text in dict.fromkeys(texts) if text]
