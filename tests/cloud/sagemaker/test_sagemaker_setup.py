"""The account template: no right is missing that the code needs, none is given that it does not, and CloudFormation takes it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

import cloud.sagemaker

ADAPTER = Path(cloud.sagemaker.__file__).parent
TEMPLATE = ADAPTER / "setup" / "account.yaml"
# Service as in actions -> botocore's names of it, as the adapter uses them.
SERVICES = {"sagemaker": ("sagemaker", "sagemaker-runtime"), "logs": ("logs",), "application-autoscaling": ("application-autoscaling",)}
# What AWS does in the caller's name, or has no operation of that name.
WITHOUT_CALL = {
    "iam:PassRole",
    "iam:CreateServiceLinkedRole",
    "cloudwatch:PutMetricAlarm",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:DeleteAlarms",
}


@cache
def operations(service: str) -> dict[str, str]:
    """Method or operation -> operation, of a service."""
    model = botocore.session.get_session().get_service_model(service)
    return {spelled: name for name in model.operation_names for spelled in (name, botocore.xform_name(name))}


@cache
def texts() -> frozenset[str]:
    """Every text and attribute in the code that sends requests; ``rules`` names more operations than are sent."""
    found = set()
    for path in set(ADAPTER.glob("*.py")) - {ADAPTER / "rules.py"}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            if isinstance(node, ast.Attribute):
                found.add(node.attr)
    return frozenset(found)


def called() -> set[str]:
    return {f"{prefix}:{known[text]}" for prefix, names in SERVICES.items() for name in names for known in [operations(name)] for text in texts() & set(known)}


def statements(resource: str) -> list[dict[str, Any]]:
    properties = yaml.safe_load(TEMPLATE.read_text())["Resources"][resource]["Properties"]
    return list((properties.get("PolicyDocument") or properties["Policies"][0]["PolicyDocument"])["Statement"])


def allowed(resource: str) -> set[str]:
    return {action for statement in statements(resource) for action in statement["Action"]}


def test_a_submitter_may_do_exactly_what_the_adapter_calls() -> None:
    given = {action for action in allowed("SubmitterPolicy") if action.partition(":")[0] not in ("s3", "ecr")}
    assert given - WITHOUT_CALL == called()
    assert len(called()) > 25


@pytest.mark.parametrize("resource", ["SubmitterPolicy", "JobRole"])
def test_nothing_is_allowed_by_a_star(resource: str) -> None:
    assert not [action for action in allowed(resource) if "*" in action]
    wide = {statement["Sid"] for statement in statements(resource) if statement["Resource"] == "*" and "Condition" not in statement}
    assert wide <= {"ImagesSignIn", "Listings", "Autoscaling"}


def test_a_job_reads_and_writes_the_store_and_its_logs() -> None:
    assert {action.partition(":")[0] for action in allowed("JobRole")} == {"s3", "ecr", "logs", "cloudwatch"}


def test_cloudformation_makes_it_and_says_what_the_job_file_needs() -> None:
    """In a process of its own: moto's records are one for a process."""
    program = f"""
import json
import boto3
from moto import mock_aws
with mock_aws():
    client = boto3.client("cloudformation", region_name="eu-west-1")
    client.create_stack(StackName="seatrial", TemplateBody=open({str(TEMPLATE)!r}).read(), Capabilities=["CAPABILITY_IAM"])
    stack = client.describe_stacks(StackName="seatrial")["Stacks"][0]
    outputs = {{each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}}
    boto3.client("iam").get_role(RoleName=outputs["Role"].rsplit("/", 1)[1])
    boto3.client("iam").get_policy(PolicyArn=outputs["SubmitterPolicy"])
    boto3.client("s3").head_bucket(Bucket=outputs["Store"].split("/")[2])
    print(json.dumps(outputs))
"""
    environment = {"PATH": "", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-west-1", "HOME": "/"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    outputs = yaml.safe_load(done.stdout)
    from jobs.control.spec import SageMakerTarget

    settings = SageMakerTarget(region=outputs["Region"], role=outputs["Role"], store=outputs["Store"])
    assert re.fullmatch(r"s3://[a-z0-9-]+/seatrial", settings.store)
    assert outputs["Registry"] == "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
