"""Sends a plan's requests, each validated in full and only if what it makes is not there yet.

A job's name is never free again on SageMaker, so a repeated submit finds the job it made before; another job of that name is told by
its fingerprint tag. An endpoint that exists is updated.
"""

from __future__ import annotations

import json
from typing import Any

from cloud.sagemaker import rules, strict
from cloud.sagemaker.client import Aws
from cloud.sagemaker.endpoint import SCALING
from cloud.sagemaker.errors import is_taken, translate
from cloud.sagemaker.parts import TAG
from cloud.sagemaker.states import KINDS
from cloud.sagemaker.step_plan import WRITE
from jobs.contracts import storage
from jobs.contracts.errors import RequestError
from jobs.contracts.job import ERROR
from jobs.control.plan import Plan, Request

_CREATES = {"CreateTrainingJob": "training", "CreateProcessingJob": "processing", "CreateEndpoint": "endpoint"}
_PARTS = {
    "CreateModel": ("describe_model", "ModelName"),
    "CreateEndpointConfig": ("describe_endpoint_config", "EndpointConfigName"),
    "CreateModelPackageGroup": ("describe_model_package_group", "ModelPackageGroupName"),
}


def violations(plan: Plan, region: str) -> list[str]:
    """What is wrong with a plan's requests, found without asking anybody."""
    found = []
    for request in plan.requests:
        if request.kind == WRITE:
            continue
        service, _, operation = request.kind.rpartition(":")
        body = dict(request.body)
        found += [f"{operation}: {each}" for each in strict.violations(operation, body, service or "sagemaker") or rules.violations(operation, body, region)]
    return found


def send(aws: Aws, plan: Plan) -> None:
    """Errors: RequestError for a request that is not valid, or when something else has the name."""
    if wrong := violations(plan, aws.region):
        raise RequestError("; ".join(wrong), where=plan.target, hint="nothing was sent; correct the job file or its targets.sagemaker")
    for request in plan.requests:
        if request.kind == WRITE:
            _write(aws, plan, request)
        elif request.kind in _PARTS:
            create_if_absent(aws, request.kind, dict(request.body))
        elif request.kind == "CreateEndpoint":
            _create_endpoint(aws, request)
        elif not request.kind.startswith(SCALING):
            _create_job(aws, request)


def send_scaling(aws: Aws, plan: Plan) -> None:
    """Autoscaling, which AWS takes only for an endpoint that answers. Both requests may be repeated."""
    for request in plan.requests:
        if request.kind.startswith(SCALING):
            aws.call(_snake(request.kind.removeprefix(SCALING)), "application-autoscaling", **request.body)


def _write(aws: Aws, plan: Plan, request: Request) -> None:
    """``job.json``; an earlier attempt's error goes, unless the job is there already and may have written it."""
    main = plan.requests[-1] if plan.requests[-1].kind in _CREATES else None
    if main is None or _find(aws, main) is None:
        storage.remove(storage.join(plan.folder, ERROR))
    storage.write_bytes(request.body["uri"], json.dumps(request.body["json"], indent=1).encode())


def _find(aws: Aws, request: Request) -> dict[str, Any] | None:
    kind = KINDS[_CREATES[request.kind]]
    return aws.find(kind.describe, **{kind.name: request.body[kind.name]})


def _create_job(aws: Aws, request: Request) -> None:
    if not _created(aws, request):
        found = _find(aws, request)
        if found is not None:
            _check_same(aws, request, found)


def _created(aws: Aws, request: Request) -> bool:
    """False = the name is taken. A lost answer is asked for again by botocore, and then finds what the first request made."""
    from botocore.exceptions import ClientError

    operation = _snake(request.kind)
    client = aws.client("sagemaker")
    with translate(f"{aws.where}: {operation}"):
        try:
            getattr(client, operation)(**request.body)
            return True
        except ClientError as error:
            if is_taken(error):
                return False
            raise


def _check_same(aws: Aws, request: Request, found: dict[str, Any]) -> None:
    kind = KINDS[_CREATES[request.kind]]
    wanted = {each["Key"]: each["Value"] for each in request.body.get("Tags", ())}
    there = aws.tags(found[kind.arn])
    if there.get(TAG + "fingerprint") != wanted[TAG + "fingerprint"]:
        name = request.body[kind.name]
        raise RequestError("something else has this name", where=f"{aws.where}/{name}", hint="give the pipeline another name, or leave --run out")


def create_if_absent(aws: Aws, operation: str, body: dict[str, Any]) -> None:
    """Of what is described by its name; models and configurations are named after their content, so one of that name is the same."""
    describe, name = _PARTS[operation]
    if aws.find(describe, **{name: body[name]}) is None:
        _created(aws, Request(operation, body))


def _create_endpoint(aws: Aws, request: Request) -> None:
    name, config = request.body["EndpointName"], request.body["EndpointConfigName"]
    found = aws.find("describe_endpoint", EndpointName=name)
    if found is None:
        _created(aws, request)
    elif found["EndpointStatus"] == "Failed":  # it never answered, and cannot be updated
        aws.call("delete_endpoint", EndpointName=name)
        aws.client("sagemaker").get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 90})
        _created(aws, request)
    elif found["EndpointConfigName"] != config:
        _refuse_foreign(aws, found, request)
        aws.call("update_endpoint", EndpointName=name, EndpointConfigName=config)


def _refuse_foreign(aws: Aws, found: dict[str, Any], request: Request) -> None:
    """An endpoint that another pipeline or program made is not taken over."""
    wanted = next(each["Value"] for each in request.body["Tags"] if each["Key"] == TAG + "pipeline")
    if aws.tags(found["EndpointArn"]).get(TAG + "pipeline") != wanted:
        where = f"{aws.where}/{found['EndpointName']}"
        raise RequestError("another endpoint has this name", where=where, hint="choose another name: targets.sagemaker.endpoint")


def _snake(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
