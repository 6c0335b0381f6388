"""The one way to Azure: an MLClient per workspace, guarded against going to the wrong place, and its blob containers."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from cloud.azureml.errors import is_absent, translate
from cloud.azureml.handles import PRACTICE
from cloud.azureml.places import PRACTICE_SUBSCRIPTION, endpoint_is_practice, is_loopback
from jobs.contracts.errors import RequestError, SetupError, missing_extra

T = TypeVar("T")
_SETTINGS = ("ARM_CLOUD_METADATA_URL", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "REQUESTS_CA_BUNDLE", "AZURE_CONFIG_DIR", "AZURE_TENANT_ID", "AZURE_CLIENT_ID")


class Azure:
    """``subscription``: as in handles."""

    def __init__(self, subscription: str, group: str, workspace: str) -> None:
        self.subscription, self.group, self.workspace = subscription, group, workspace
        self._containers: dict[str, Any] = {}

    @property
    def where(self) -> str:
        return f"azureml {self.subscription}/{self.group}/{self.workspace}"

    @property
    def client(self) -> Any:
        """Errors: SetupError without the SDK; RequestError when practice is meant and Azure set, or the other way round."""
        if endpoint_is_practice() != (self.subscription == PRACTICE):
            raise _wrong_place(self.subscription)
        subscription = PRACTICE_SUBSCRIPTION if self.subscription == PRACTICE else self.subscription
        return _made(subscription, self.group, self.workspace, tuple(os.environ.get(name) for name in _SETTINGS))

    def ask(self, what: str, question: Callable[[Any], T]) -> T:
        """Errors: as :func:`cloud.azureml.errors.translate`."""
        client = self.client
        with translate(f"{self.where}: {what}"), quiet():
            return question(client)

    def find(self, what: str, question: Callable[[Any], T]) -> T | None:
        """The same; None for something that does not exist."""
        from azure.core.exceptions import HttpResponseError

        client = self.client
        with translate(f"{self.where}: {what}"), quiet():
            try:
                return question(client)
            except HttpResponseError as error:
                if is_absent(error):
                    return None
                raise

    def container(self, datastore: str) -> Any:
        """The blob container of a datastore, reached as the SDK itself reaches it."""
        if datastore not in self._containers:
            self._containers[datastore] = self.ask(f"datastore {datastore}", lambda client: _container(client, datastore))
        return self._containers[datastore]


def _container(client: Any, datastore: str) -> Any:
    from azure.ai.ml._artifacts._artifact_utilities import get_datastore_info
    from azure.storage.blob import BlobServiceClient

    info = get_datastore_info(client.datastores, datastore)
    return BlobServiceClient(account_url=info["account_url"], credential=info["credential"]).get_container_client(info["container_name"])


@contextmanager
def quiet() -> Iterator[None]:
    """The SDK warns of its own experimental classes and of marshmallow's future at each first use, on the user's terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("azure.ai.ml", "azure.identity", "azure.core"):
            logging.getLogger(name).setLevel(logging.ERROR)
        yield


@lru_cache(maxsize=8)
def _made(subscription: str, group: str, workspace: str, settings: tuple[str | None, ...]) -> Any:
    """Kept, because importing the SDK takes 2 s. ``settings``: the variables that it was made under."""
    with quiet():
        try:
            from azure.ai.ml import MLClient
            from azure.ai.ml._utils._azureml_polling import AzureMLPolling
            from azure.identity import DefaultAzureCredential
            from azure.mgmt.core.polling.arm_polling import ARMPolling
        except ModuleNotFoundError as error:
            raise missing_extra("azure-ai-ml", "azureml") from error
        setattr(AzureMLPolling, "update_status", ARMPolling.update_status)  # noqa: B010 # the SDK's own prints a dot at each look, from threads of its own
        where = f"azureml {subscription}/{group}/{workspace}"
        if endpoint_is_practice():
            os.environ.pop("AZUREML_CURRENT_CLOUD", None)  # the SDK's own note of the cloud of an earlier client
        with translate(where):
            client = MLClient(DefaultAzureCredential(), subscription, group, workspace, enable_telemetry=False)
    if endpoint_is_practice() and not is_loopback(client._base_url):
        # Where the metadata cannot be had, the SDK takes the real cloud, and says nothing.
        raise SetupError("the practice service does not answer", where=where, hint="is it up? seatrial practice status")
    return client


def _wrong_place(subscription: str) -> RequestError:
    if subscription == PRACTICE:
        hint = 'eval "$(seatrial practice env)"; for Azure itself set targets.azureml.subscription, resource_group and workspace'
        return RequestError("this is for the practice service, and Azure's address is the real one", where="ARM_CLOUD_METADATA_URL", hint=hint)
    return RequestError(
        f"this is for the subscription {subscription}, and Azure's address is that of a practice service",
        where="ARM_CLOUD_METADATA_URL",
        hint='eval "$(seatrial practice env --unset)" leads back to the real cloud',
    )
