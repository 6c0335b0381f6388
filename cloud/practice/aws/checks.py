"""The rules beyond the model's shapes: what must exist, and what must fit together. Each answers as the service would."""

from __future__ import annotations

import re
from typing import Any

from cloud.practice.aws import errors, seed
from cloud.practice.aws.objects import split
from cloud.practice.aws.service import Service

_ACCOUNT_IN_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/.+")


def role(arn: str) -> None:
    matched = _ACCOUNT_IN_ARN.fullmatch(arn)
    if not matched or not seed.role_exists(arn):
        raise errors.validation(
            f"Could not assume role {arn}. Please ensure that the role exists and allows principal 'sagemaker.amazonaws.com' to assume the role."
        )


def image(service: Service, address: str | None, field: str) -> None:
    if not address:
        return
    if service.practice.images.find(address) is None:
        known = ", ".join(service.practice.images.names())
        raise errors.validation(f"Unable to find image {address} given as {field}. Practice knows: {known}. Register others with: seatrial practice image add")


def bucket(service: Service, uri: str | None) -> None:
    if uri and uri.startswith("s3://") and not service.objects.has_bucket(split(uri)[0]):
        raise errors.validation(f"S3 bucket '{split(uri)[0]}' does not exist. (given in {uri})")


def buckets(service: Service, value: Any) -> None:
    """Every ``s3://`` address anywhere in a request."""
    if isinstance(value, dict):
        for each in value.values():
            buckets(service, each)
    elif isinstance(value, list):
        for each in value:
            buckets(service, each)
    elif isinstance(value, str):
        bucket(service, value)


def stopping_condition(params: dict[str, Any]) -> None:
    condition = params.get("StoppingCondition", {})
    longest, waits = condition.get("MaxRuntimeInSeconds", 86400), condition.get("MaxWaitTimeInSeconds")
    if params.get("EnableManagedSpotTraining"):
        if waits is None:
            raise errors.validation("MaxWaitTimeInSeconds is required when EnableManagedSpotTraining is true")
        if waits < longest:
            raise errors.validation(
                f"Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds ({longest}), was {waits}"
            )
    elif waits is not None:
        raise errors.validation("MaxWaitTimeInSeconds is only allowed when EnableManagedSpotTraining is true")


def unique(names: list[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise errors.validation(f"Duplicate {what}: {', '.join(twice)}")


def absolute_under(path: str, root: str, field: str) -> None:
    if not (path + "/").startswith(root + "/"):
        raise errors.validation(f"{field} '{path}' must be under {root}")
