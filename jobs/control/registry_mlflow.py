"""The registry in MLflow: a bundle becomes an artefact of an MLflow run, and a model version points to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jobs.contracts import bundle as bundles
from jobs.contracts import storage
from jobs.control.registry import CHAMPION
from jobs.control.registry_reader import FINGERPRINT_TAG, ModelVersion, list_versions, read_model
from jobs.control.rollout.moves import GATE, promote

if TYPE_CHECKING:
    from mlflow import MlflowClient

ARTIFACT = "bundle"  # folder inside the MLflow run's artefacts; a server refuses model sources elsewhere


class MlflowRegistry:
    def __init__(self, client: MlflowClient, tracking_uri: str) -> None:
        self._client, self._uri = client, tracking_uri

    def register(self, name: str, bundle: str, *, run: str = "", tags: Mapping[str, str] | None = None) -> ModelVersion:
        """``run`` is the MLflow run that owns the artefact.

        Errors: IntegrityError when the bundle does not match its own hashes.
        """
        digest = bundles.load(bundle).fingerprint
        if (known := self._known(name, digest)) is not None:
            return known
        self._create_model(name)
        self._client.log_artifacts(run, str(storage.local_path(bundle)), ARTIFACT)
        source = f"{self._client.get_run(run).info.artifact_uri}/{ARTIFACT}"
        made = self._client.create_model_version(name, source, run, tags={FINGERPRINT_TAG: digest, **(tags or {})})
        version = self._known(name, digest)
        assert version is not None
        if int(version.version) < int(made.version):  # another run registered the same bundle meanwhile: the first one stays
            self._client.delete_model_version(name, made.version)
        return version

    def _known(self, name: str, digest: str) -> ModelVersion | None:
        equal = [version for version in list_versions(self._uri, name) if version.fingerprint == digest]
        return min(equal, key=lambda version: int(version.version), default=None)

    def _create_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def set_alias(self, name: str, alias: str, version: str) -> None:
        if alias != CHAMPION:
            self._client.set_registered_model_alias(name, alias, version)
        elif self._champion(name) != version:  # a step of the rollout: recorded, watched and reversible like any other
            promote(self._uri, name, version, by=GATE, reason="the evaluation's verdict")

    def _champion(self, name: str) -> str:
        found = read_model(self._uri, name)
        return found.aliases.get(CHAMPION, "") if found else ""
