"""Each drill ends as the real service would end."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from cloud.practice.inject import Injection
from tests.cloud.practice.service import BUCKET, SMALL, Service, endpoint, model, processing, secondaries, training, training_ended, variant

RESUMES = """
import os, signal, sys, time
signal.signal(15, lambda *_: sys.exit(143))
path = "/opt/ml/checkpoints/step"
if os.path.exists(path):
    open("/opt/ml/model/from", "w").write(open(path).read())
    sys.exit(0)
open(path, "w").write("1")
time.sleep(60)
"""


def arm(service: Service, kind: str, match: str, **more: Any) -> None:
    service.practice.injections.arm(Injection(kind, match=match, **more))


def test_a_spot_job_goes_on_from_its_checkpoints(service: Service) -> None:
    arm(service, "spot-interruption", "spot-*", seconds=1)
    spot = {"EnableManagedSpotTraining": True, "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120}}
    client = service.client()
    client.create_training_job(**training("spot-1", RESUMES, CheckpointConfig={"S3Uri": f"s3://{BUCKET}/spot"}, **spot))
    described = training_ended(client, "spot-1")
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    first = ["Starting", "Downloading", "Training", "Interrupted", "Restarting"]
    assert secondaries(described) == [*first, "Starting", "Downloading", "Training", "Uploading", "Completed"]


def test_a_job_that_is_not_spot_is_not_interrupted(service: Service) -> None:
    arm(service, "spot-interruption", "plain-*", seconds=0)
    client = service.client()
    client.create_training_job(**training("plain-1", "import time; time.sleep(1)"))
    assert "Interrupted" not in secondaries(training_ended(client, "plain-1"))
    assert service.practice.injections.take("spot-interruption", "aws", "plain-1") is not None


def test_a_lost_host_fails_the_job_or_starts_it_again_as_its_retries_say(service: Service) -> None:
    client = service.client()
    for name, retries in (("lost-0", {}), ("lost-1", {"RetryStrategy": {"MaximumRetryAttempts": 1}})):
        arm(service, "host-failure", name, seconds=1)
        more = {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/{name}"}, "ResourceConfig": {**SMALL, "InstanceCount": 2}}
        client.create_training_job(**training(name, RESUMES, **more, **retries))
    assert training_ended(client, "lost-0")["FailureReason"].startswith("InternalServerError")
    described = training_ended(client, "lost-1")
    assert described["TrainingJobStatus"] == "Completed", described
    assert secondaries(described).count("Training") == 2


def test_an_image_that_cannot_be_pulled_fails_job_and_endpoint(service: Service) -> None:
    client = service.client()
    arm(service, "image-pull", "pull-*", times=2)
    client.create_training_job(**training("pull-job"))
    assert training_ended(client, "pull-job")["FailureReason"].startswith("ClientError: Failed to pull image")
    model(service, "pull-model")
    described = endpoint(service, "pull-endpoint", variant("a", "pull-model"))
    assert described["EndpointStatus"] == "Failed"
    assert "pull" in described["FailureReason"]


@pytest.mark.parametrize(
    ("kind", "code"), [("quota", "ResourceLimitExceeded"), ("access-denied", "AccessDeniedException"), ("throttle", "ThrottlingException")]
)
def test_a_refused_request_makes_no_job(service: Service, kind: str, code: str) -> None:
    client = service.client()
    arm(service, kind, f"{kind}-*")
    with pytest.raises(ClientError) as error:
        client.create_processing_job(**processing(f"{kind}-1"))
    assert error.value.response["Error"]["Code"] == code
    assert client.list_processing_jobs(NameContains=f"{kind}-")["ProcessingJobSummaries"] == []
    client.create_processing_job(**processing(f"{kind}-1"))  # the drill is used up


def test_botocores_own_retries_outlive_a_throttled_request(service: Service) -> None:
    arm(service, "throttle", "patient", times=2)
    service.client(retries=3).create_training_job(**training("patient"))
    assert training_ended(service.client(), "patient")["TrainingJobStatus"] == "Completed"


def test_a_slow_start_is_pending(service: Service) -> None:
    arm(service, "slow-start", "late", seconds=1)
    client = service.client()
    client.create_training_job(**training("late"))
    described = training_ended(client, "late")
    assert secondaries(described)[:3] == ["Starting", "Pending", "Downloading"]
    assert (described["TrainingStartTime"] - described["CreationTime"]).total_seconds() >= 1
