"""The one way to AWS: boto3's clients, each made once, guarded against going to the wrong place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from cloud.sagemaker.errors import is_absent, translate
from cloud.sagemaker.handles import PRACTICE
from cloud.sagemaker.places import is_loopback
from jobs.contracts.errors import RequestError, missing_extra

_ATTEMPTS = 5  # of one request, with growing pauses: throttling and lost connections
_CONNECT, _READ = 10, 60  # seconds
_SETTINGS = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_SAGEMAKER",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
)


class Aws:
    """The services of one account and region. ``account``: as in handles."""

    def __init__(self, account: str, region: str) -> None:
        self.account, self.region = account, region
        self._clients: dict[str, Any] = {}

    @property
    def where(self) -> str:
        return f"sagemaker {self.account}/{self.region}"

    def client(self, service: str) -> Any:
        """Errors: SetupError without boto3; RequestError when practice is meant and a real endpoint set, or the other way round."""
        if service not in self._clients:
            self._clients[service] = self._open(service)
        return self._clients[service]

    def _open(self, service: str) -> Any:
        with translate(self.where):
            client = _made(service, self.region, tuple(os.environ.get(name) for name in _SETTINGS))
        if is_loopback(client.meta.endpoint_url) != (self.account == PRACTICE):
            raise _wrong_place(self.account, client.meta.endpoint_url)
        return client

    def call(self, operation: str, service: str = "sagemaker", /, **params: Any) -> dict[str, Any]:
        """One request, by boto3's name of the operation.

        Errors: as :func:`cloud.sagemaker.errors.translate`.
        """
        client = self.client(service)
        with translate(f"{self.where}: {operation}"):
            answer: dict[str, Any] = getattr(client, operation)(**params)
            return answer

    def find(self, operation: str, service: str = "sagemaker", /, **params: Any) -> dict[str, Any] | None:
        """The same; None for something that does not exist."""
        from botocore.exceptions import ClientError

        client = self.client(service)
        with translate(f"{self.where}: {operation}"):
            try:
                answer: dict[str, Any] = getattr(client, operation)(**params)
                return answer
            except ClientError as error:
                if is_absent(error):
                    return None
                raise

    def pages(self, operation: str, key: str, service: str = "sagemaker", /, limit: int = 1000, **params: Any) -> list[Any]:
        """At most ``limit`` entries of a List operation."""
        client = self.client(service)
        with translate(f"{self.where}: {operation}"):
            pager = client.get_paginator(operation).paginate(**params, PaginationConfig={"MaxItems": limit})
            return [entry for page in pager for entry in page.get(key, ())]

    def tags(self, arn: str) -> Mapping[str, str]:
        return {each["Key"]: each["Value"] for each in self.call("list_tags", ResourceArn=arn).get("Tags", ())}


@lru_cache(maxsize=32)
def _made(service: str, region: str, settings: tuple[str | None, ...]) -> Any:
    """Kept, because each new one reads its service's model, 0.4 to 1.3 s. ``settings``: the variables that it was made under."""
    try:
        import boto3
        from botocore.config import Config
    except ModuleNotFoundError as error:
        raise missing_extra("boto3", "sagemaker") from error
    config = Config(retries={"mode": "standard", "total_max_attempts": _ATTEMPTS}, connect_timeout=_CONNECT, read_timeout=_READ)
    return boto3.session.Session().client(service, region_name=region, config=config)


def _wrong_place(account: str, endpoint: str) -> RequestError:
    if account == PRACTICE:
        return RequestError(
            f"this is for the practice service, and AWS's address is {endpoint}",
            where="AWS_ENDPOINT_URL",
            hint='eval "$(seatrial practice env)"; for a real account set targets.sagemaker.role to a role of it',
        )
    return RequestError(
        f"this is for the account {account}, and AWS's address is that of a practice service: {endpoint}",
        where="AWS_ENDPOINT_URL",
        hint='eval "$(seatrial practice env --unset)" leads back to the real cloud',
    )
