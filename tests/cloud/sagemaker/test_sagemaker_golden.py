"""The flights pipeline as SageMaker requests, word for word; a change must be looked at and accepted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cloud.sagemaker import submission
from cloud.sagemaker.sagemaker_backend import SageMakerBackend
from jobs.contracts.errors import RequestError
from jobs.control.home import Home
from jobs.control.plan import Plan
from jobs.control.spec import Pipeline, SageMakerTarget
from tests.cloud import planned

GOLDEN = Path(__file__).parent / "golden"
ACCEPT = "SEATRIAL_ACCEPT_GOLDEN"
_ACCEPTED = bool(os.environ.get(ACCEPT))  # read before each test's environment is cleaned
GPU = ("steps.train.resources.gpu=1", "steps.train.resources.accelerator=NVIDIA-A10G", "steps.train.spot=true")
REAL = SageMakerTarget(
    region="us-east-1",
    role="arn:aws:iam::111122223333:role/seatrial-jobs",
    store="s3://team-models/seatrial",
    input_mode="FastFile",
    subnets=("subnet-0a1b2c3d",),
    security_groups=("sg-0a1b2c3d",),
    encrypt_traffic=True,
    kms_key="arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    tags={"team": "ml"},
    endpoint_max_instances=4,
)


def plans(pipeline: Pipeline, settings: SageMakerTarget, attempt: int = 1) -> dict[str, Plan]:
    return planned.plans(SageMakerBackend(Home(Path("/home/.seatrial")), settings), pipeline, attempt)


def text_of(found: dict[str, Plan]) -> str:
    return yaml.safe_dump_all((plan.as_dict() for plan in found.values()), sort_keys=False, width=140)


@pytest.mark.parametrize(("name", "overrides", "settings"), [("flights-practice", (), SageMakerTarget()), ("flights-gpu-spot", GPU, REAL)])
def test_the_flights_pipeline_is_planned_as_accepted(name: str, overrides: tuple[str, ...], settings: SageMakerTarget) -> None:
    text, path = text_of(plans(planned.flights(*overrides), settings)), GOLDEN / f"{name}.yaml"
    if _ACCEPTED:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{path} differs; look at the change, then accept it with {ACCEPT}=1 pytest {Path(__file__).name}"


@pytest.mark.parametrize(("overrides", "settings"), [((), SageMakerTarget()), (GPU, REAL)])
def test_all_requests_are_valid_by_the_services_own_model(overrides: tuple[str, ...], settings: SageMakerTarget) -> None:
    for plan in plans(planned.flights(*overrides), settings).values():
        assert submission.violations(plan, settings.region) == []


def test_a_plan_needs_neither_boto3_nor_the_network() -> None:
    program = """
import sys
from tests.cloud.sagemaker.test_sagemaker_golden import plans, planned, SageMakerTarget
sys.modules.pop("cloud.sagemaker.submission")
heavy = {"boto3", "botocore", "moto"} & set(sys.modules)
plans(planned.flights(), SageMakerTarget())
assert not heavy | ({"boto3", "botocore", "moto"} & set(sys.modules)), heavy
"""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_later_attempt_has_another_name_and_the_same_folder() -> None:
    first, second = (plans(planned.flights(), SageMakerTarget(), attempt)["train"] for attempt in (1, 2))
    assert (first.handle, first.folder) != (second.handle, second.folder)
    assert first.folder == second.folder
    assert second.requests[-1].body["TrainingJobName"] == f"{planned.RUN}-train-2"


def test_what_cannot_be_said_is_a_loss_or_an_error() -> None:
    losses = {name: plan.losses for name, plan in plans(planned.flights("steps.features.spot=true"), SageMakerTarget()).items()}
    assert losses["features"] == (
        "workers: Spark runs on one instance, with the cores and memory of all 2 workers",
        "spot: only training jobs can run on spot capacity; a step of kind etl does not",
    )
    assert losses["train"] == ()
    with pytest.raises(RequestError, match="no machine known here has"):
        plans(planned.flights("steps.train.resources.memory=9000Gi"), SageMakerTarget())
    with pytest.raises(RequestError, match="secrets: SageMaker hands none"):
        plans(planned.flights("steps.train.secrets.TOKEN=hub"), SageMakerTarget())
    assert plans(planned.flights("steps.train.resources.gpu=8", "steps.train.resources.accelerator=H100"), SageMakerTarget())["train"].requests[-1].body[
        "ResourceConfig"
    ]["InstanceType"] == ("ml.p5.48xlarge")


def test_practice_takes_the_place_of_an_accounts_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5601")
    plan = plans(planned.flights(), REAL)["train"]
    assert plan.handle.startswith("sagemaker://practice/us-east-1/training/")
    assert plan.requests[-1].body["RoleArn"] == SageMakerTarget().role
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "https://api.sagemaker.us-east-1.amazonaws.com")
    assert plans(planned.flights(), REAL)["train"].handle.startswith("sagemaker://111122223333/")
