"""The registry in Azure ML: a model per pipeline, a version per bundle, which stays where training wrote it in the datastore.

An alias is a tag with a number that grows with each move: the version with the largest one has it, so that moving is one request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloud.azureml.client import Azure
from cloud.azureml.command_job import TAG
from cloud.azureml.online_endpoint import model_name
from cloud.azureml.places import Place
from jobs.contracts.job import Product
from jobs.control.registry import CHAMPION
from jobs.control.registry_reader import FINGERPRINT_TAG, ModelVersion

_ALIAS = TAG + "alias."
_URI = TAG + "uri"


class AzureMLRegistry:
    def __init__(self, place: Place, azure: Azure) -> None:
        self._place, self._azure = place, azure

    def champion(self, name: str) -> ModelVersion | None:
        """The version that answers, or None before the first."""
        holders = [model for model in self._versions(name) if _ALIAS + CHAMPION in (model.tags or {})]
        return _version(name, max(holders, key=lambda model: int(model.tags[_ALIAS + CHAMPION]))) if holders else None

    def register(self, name: str, bundle: Product, *, tags: Mapping[str, str], verdict: Mapping[str, Any]) -> ModelVersion:
        """Register a bundle where it lies; one that is there already keeps its version.

        Errors: as :mod:`cloud.azureml.errors`.
        """
        known = self._versions(name)
        found = next((model for model in known if (model.tags or {}).get(FINGERPRINT_TAG) == bundle.fingerprint), None)
        if found is None:
            told = {**self._place.settings.tags, **tags, FINGERPRINT_TAG: bundle.fingerprint, _URI: bundle.uri}
            told |= {f"test_{key}": str(value) for key, value in verdict.get("metrics", {}).items()}
            version = str(max((int(model.version) for model in known if str(model.version).isdigit()), default=0) + 1)
            found = self._create(name, version, bundle.uri, told)
        return _version(name, found)

    def _create(self, name: str, version: str, uri: str, tags: Mapping[str, str]) -> Any:
        def create(client: Any) -> Any:
            from azure.ai.ml.entities import Model

            model = Model(name=model_name(self._place, name), version=version, path=uri, type="custom_model", tags=dict(tags))
            return client.models.create_or_update(model)

        return self._azure.ask(f"model {name}", create)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        versions = self._versions(name)
        last = max((int((model.tags or {}).get(_ALIAS + alias, 0)) for model in versions), default=0)
        model = next(each for each in versions if str(each.version) == version)
        if last == 0 or int((model.tags or {}).get(_ALIAS + alias, 0)) != last:
            model.tags = {**(model.tags or {}), _ALIAS + alias: str(last + 1)}
            self._azure.ask(f"model {name}", lambda client: client.models.create_or_update(model))

    def _versions(self, name: str) -> list[Any]:
        found = self._azure.find(f"model {name}", lambda client: list(client.models.list(name=model_name(self._place, name))))
        return found or []


def _version(name: str, model: Any) -> ModelVersion:
    tags = dict(model.tags or {})
    created: Any = getattr(model.creation_context, "created_at", None)
    return ModelVersion(
        name=name,
        version=str(model.version),
        uri=tags.get(_URI, str(model.path)),
        fingerprint=tags.get(FINGERPRINT_TAG, ""),
        tags=tags,
        created=created.timestamp() if hasattr(created, "timestamp") else 0.0,
    )
