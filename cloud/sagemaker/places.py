"""Whose SageMaker this is: an account and region of Amazon's, or the practice service, told by a loopback ``AWS_ENDPOINT_URL``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from cloud.sagemaker.handles import PRACTICE
from jobs.control.spec import SageMakerTarget

PRACTICE_ROLE = "arn:aws:iam::123456789012:role/SeatrialPractice"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_VARIABLES = ("AWS_ENDPOINT_URL_SAGEMAKER", "AWS_ENDPOINT_URL")  # the first that is set counts, as for boto3


@dataclass(frozen=True)
class Place:
    """``account``: as in handles, ``practice`` or twelve digits."""

    settings: SageMakerTarget
    is_practice: bool

    @property
    def account(self) -> str:
        return PRACTICE if self.is_practice else self.number

    @property
    def number(self) -> str:
        return self.role.split(":")[4]

    @property
    def region(self) -> str:
        return self.settings.region

    @property
    def role(self) -> str:
        return PRACTICE_ROLE if self.is_practice else self.settings.role

    @property
    def store(self) -> str:
        return self.settings.store.rstrip("/") or f"s3://sagemaker-{self.region}-{self.number}/seatrial"

    def image(self, name: str) -> str:
        """A bare name lies in the ECR of the account and region; China's addresses have a suffix of their own."""
        if "/" in name:
            return name
        suffix = ".cn" if self.region.startswith("cn-") else ""
        return f"{self.number}.dkr.ecr.{self.region}.amazonaws.com{suffix}/{name}"

    def __str__(self) -> str:
        return f"Amazon SageMaker, account {self.number}, region {self.region}, as {self.role}, store {self.store}"


def place_of(settings: SageMakerTarget, environment: Mapping[str, str] = os.environ) -> Place:
    """Practice is also what the default role means: no account of anybody's has its number."""
    return Place(settings, endpoint_is_practice(environment) or settings.role == PRACTICE_ROLE)


def endpoint_is_practice(environment: Mapping[str, str] = os.environ) -> bool:
    return is_loopback(next((environment[name] for name in _VARIABLES if environment.get(name)), ""))


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK
