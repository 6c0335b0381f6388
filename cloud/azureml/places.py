"""Whose workspace this is: one of Azure's, or the practice service, told by a loopback ``ARM_CLOUD_METADATA_URL``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from cloud.azureml.handles import PRACTICE
from jobs.control.spec import AzureMLTarget

PRACTICE_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Place:
    settings: AzureMLTarget
    is_practice: bool

    @property
    def subscription(self) -> str:
        """As in handles."""
        return PRACTICE if self.is_practice else self.settings.subscription

    @property
    def group(self) -> str:
        return PRACTICE if self.is_practice else self.settings.resource_group

    @property
    def workspace(self) -> str:
        return PRACTICE if self.is_practice else self.settings.workspace

    @property
    def store(self) -> str:
        return self.settings.store.rstrip("/")

    def image(self, name: str) -> str:
        """A bare name lies in the registry of the settings."""
        return f"{self.settings.registry}/{name}" if self.settings.registry and "/" not in name else name

    def __str__(self) -> str:
        return f"Azure ML, subscription {self.subscription}, resource group {self.group}, workspace {self.workspace}, store {self.store}"


def place_of(settings: AzureMLTarget, environment: Mapping[str, str] = os.environ) -> Place:
    """Practice is also what the default subscription means: nobody has one of zeros."""
    return Place(settings, endpoint_is_practice(environment) or settings.subscription == PRACTICE_SUBSCRIPTION)


def endpoint_is_practice(environment: Mapping[str, str] = os.environ) -> bool:
    return is_loopback(environment.get("ARM_CLOUD_METADATA_URL", ""))


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in _LOOPBACK
