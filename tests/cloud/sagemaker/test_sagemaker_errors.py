"""What goes wrong between here and Amazon: each a sentence, sent again only where that is right, and never a second job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud.sagemaker import client as clients
from cloud.sagemaker.sagemaker_backend import SageMakerBackend
from jobs.contracts.errors import RequestError, RunError, SeatrialError, SetupError
from jobs.contracts.states import JobState
from jobs.control.home import Home
from jobs.control.plan import Plan
from jobs.control.spec import SageMakerTarget
from tests.cloud import planned
from tests.cloud.sagemaker.aws_server import LOST, AwsServer

NAME = f"{planned.RUN}-train"
ARN = f"arn:aws:sagemaker:eu-west-1:123456789012:training-job/{NAME}"
ABSENT = ("ValidationException", f"Requested resource not found: {NAME}", 400)
TAKEN = ("ResourceInUse", "Training job names must be unique within an AWS account and region", 400)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsServer]:
    server = AwsServer()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    with server.serving():
        yield server


@pytest.fixture
def backend(aws: AwsServer, tmp_path: Path) -> SageMakerBackend:
    return SageMakerBackend(Home(tmp_path), SageMakerTarget())


@pytest.fixture
def plan(backend: SageMakerBackend, tmp_path: Path) -> Plan:
    """The train step's, its job file in a folder here instead of S3."""
    made = planned.plans(backend, planned.flights())["train"]
    write = replace(made.requests[0], body={**made.requests[0].body, "uri": str(tmp_path / "step" / "job.json")})
    return replace(made, folder=str(tmp_path / "step"), requests=(write, made.requests[1]))


def described(status: str, **more: Any) -> dict[str, Any]:
    return {"TrainingJobName": NAME, "TrainingJobArn": ARN, "TrainingJobStatus": status, "SecondaryStatus": status, "CreationTime": 1, **more}


@pytest.mark.parametrize(
    ("answer", "kind", "said", "times"),
    [
        (("ExpiredTokenException", "The security token included in the request is expired", 400), SetupError, "has expired", 1),
        (("UnrecognizedClientException", "The security token is invalid", 400), SetupError, "does not know these credentials", 1),
        (("AccessDeniedException", "User is not authorized to perform: sagemaker:CreateTrainingJob", 400), RequestError, "not allowed", 1),
        (("ResourceLimitExceeded", "The account-level service limit is 0 Instances", 400), RequestError, "a limit of the account", 1),
        (("ValidationException", "Could not assume role", 400), RequestError, "refuses the request", 1),
        (("ThrottlingException", "Rate exceeded", 400), RunError, "is throttling", 5),
        (("InternalFailure", "", 500), RunError, "AWS failed", 5),
    ],
)
def test_an_answer_of_amazons_is_a_sentence(
    aws: AwsServer, backend: SageMakerBackend, plan: Plan, answer: tuple[str, str, int], kind: type[SeatrialError], said: str, times: int
) -> None:
    aws.answers = {"DescribeTrainingJob": [ABSENT], "CreateTrainingJob": [answer]}
    with pytest.raises(kind, match=said) as told:
        backend.submit(plan)
    assert told.value.hint
    assert aws.count("CreateTrainingJob") == times


def test_throttling_that_passes_is_not_seen(aws: AwsServer, backend: SageMakerBackend, plan: Plan) -> None:
    aws.answers = {"DescribeTrainingJob": [ABSENT], "CreateTrainingJob": [("ThrottlingException", "Rate exceeded", 400), {"TrainingJobArn": ARN}]}
    assert backend.submit(plan) == plan.handle
    assert aws.count("CreateTrainingJob") == 2


def test_a_lost_answer_makes_no_second_job(aws: AwsServer, backend: SageMakerBackend, plan: Plan) -> None:
    tags = {"Tags": plan.requests[-1].body["Tags"]}
    aws.answers = {"DescribeTrainingJob": [ABSENT, described("InProgress")], "CreateTrainingJob": [LOST, TAKEN], "ListTags": [tags]}
    assert backend.submit(plan) == plan.handle
    names = {body["TrainingJobName"] for operation, body in aws.asked if operation == "CreateTrainingJob"}
    assert names == {NAME}


def test_another_job_of_the_name_is_not_taken_for_ours(aws: AwsServer, backend: SageMakerBackend, plan: Plan) -> None:
    aws.answers = {"DescribeTrainingJob": [described("Completed")], "CreateTrainingJob": [TAKEN], "ListTags": [{"Tags": []}]}
    with pytest.raises(RequestError, match="something else has this name"):
        backend.submit(plan)


def test_a_request_that_is_not_valid_is_not_sent(aws: AwsServer, backend: SageMakerBackend, plan: Plan) -> None:
    broken = replace(plan, requests=(plan.requests[0], replace(plan.requests[1], body={**plan.requests[1].body, "TrainingJobName": "bad_name"})))
    with pytest.raises(RequestError, match="regular expression"):
        backend.submit(broken)
    assert aws.asked == []


def test_nobody_answers(backend: SageMakerBackend, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(SetupError, match="does not answer"):
        backend.status(plan.handle)


def test_no_credentials_at_all(backend: SageMakerBackend, plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(SetupError, match="no AWS credentials") as told:
        backend.status(plan.handle)
    assert "seatrial practice env" in told.value.hint


def test_practice_and_real_accounts_are_not_mixed_up(backend: SageMakerBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="is that of a practice service"):
        backend.status(f"sagemaker://111122223333/eu-west-1/training/{NAME}")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with pytest.raises(RequestError, match="this is for the practice service"):
        backend.status(f"sagemaker://practice/eu-west-1/training/{NAME}")


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (described("InProgress", SecondaryStatus="Pending"), JobState.QUEUED),
        (described("InProgress", SecondaryStatus="Downloading"), JobState.STARTING),
        (described("InProgress", SecondaryStatus="Training"), JobState.RUNNING),
        (described("InProgress", SecondaryStatus="Interrupted"), JobState.QUEUED),
        (described("Completed"), JobState.SUCCEEDED),
        (described("Stopping"), JobState.STOPPING),
        (described("Stopped"), JobState.STOPPED),
        (described("Stopped", SecondaryStatus="MaxRuntimeExceeded"), JobState.FAILED),
        (ABSENT, JobState.UNKNOWN),
    ],
)
def test_states(aws: AwsServer, backend: SageMakerBackend, plan: Plan, answer: Any, state: JobState) -> None:
    aws.answers = {"DescribeTrainingJob": [answer]}
    assert backend.status(plan.handle) == state


def test_a_missing_boto3_is_named_with_its_extra(backend: SageMakerBackend, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    clients._made.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with pytest.raises(SetupError, match="boto3 is not installed") as told:
        backend.status(plan.handle)
    assert "seatrial[sagemaker]" in told.value.hint
