"""The registry in SageMaker: a model package group per pipeline, a version per bundle, approved when it becomes the champion.

Aliases are tags of the group, each moved by one request. The bundle stays where training wrote it in S3: a package names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloud.names import fitting
from cloud.sagemaker import parts
from cloud.sagemaker.client import Aws
from cloud.sagemaker.endpoint import model_data
from cloud.sagemaker.places import Place
from cloud.sagemaker.submission import create_if_absent
from jobs.contracts import storage
from jobs.contracts.job import Product
from jobs.control.registry import CHAMPION
from jobs.control.registry_reader import FINGERPRINT_TAG, ModelVersion

_ALIAS = parts.TAG + "alias."
_VALUE = 256  # characters of a metadata value
_TOKEN = 36  # characters of a client token


class SageMakerRegistry:
    def __init__(self, place: Place, aws: Aws) -> None:
        self._place, self._aws = place, aws

    def champion(self, name: str) -> ModelVersion | None:
        """The version that answers, or None before the first."""
        group = self._aws.find("describe_model_package_group", ModelPackageGroupName=self._group(name))
        if group is None:
            return None
        version = self._aws.tags(group["ModelPackageGroupArn"]).get(_ALIAS + CHAMPION)
        if version is None:
            return None
        return self._version(name, self._aws.call("describe_model_package", ModelPackageName=_package_arn(group["ModelPackageGroupArn"], version)))

    def register(self, name: str, bundle: Product, *, tags: Mapping[str, str], verdict: Mapping[str, Any]) -> ModelVersion:
        """Register a bundle where it lies; one that is there already keeps its version.

        Errors: as :mod:`cloud.sagemaker.errors`.
        """
        group = self._group(name)
        body = {"ModelPackageGroupName": group, "ModelPackageGroupDescription": f"seatrial: {name}"}
        create_if_absent(self._aws, "CreateModelPackageGroup", {**body, "Tags": parts.tag_list({**self._place.settings.tags, parts.TAG + "pipeline": name})})
        found = self._known(group, bundle.fingerprint)
        if found is None:
            found = self._aws.call("create_model_package", **self._package(group, bundle, tags, verdict))["ModelPackageArn"]
        return self._version(name, self._aws.call("describe_model_package", ModelPackageName=found))

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Approval first, so that whoever follows the alias finds an approved version."""
        group = self._aws.call("describe_model_package_group", ModelPackageGroupName=self._group(name))["ModelPackageGroupArn"]
        if alias == CHAMPION:
            arn = _package_arn(group, version)
            self._aws.call("update_model_package", ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="the evaluation's verdict")
        self._aws.call("add_tags", ResourceArn=group, Tags=parts.tag_list({_ALIAS + alias: version}))

    def _group(self, name: str) -> str:
        return fitting(self._place.settings.package_group or name)

    def _known(self, group: str, fingerprint: str) -> str | None:
        """The ARN of the version with this bundle; a list shows descriptions, but no metadata."""
        packages = self._aws.pages("list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=group)
        return next((each["ModelPackageArn"] for each in packages if fingerprint in each.get("ModelPackageDescription", "")), None)

    def _package(self, group: str, bundle: Product, tags: Mapping[str, str], verdict: Mapping[str, Any]) -> dict[str, Any]:
        told = {**tags, FINGERPRINT_TAG: bundle.fingerprint, **{f"test_{name}": str(value) for name, value in verdict.get("metrics", {}).items()}}
        report = tags.get("seatrial.report")
        statistics = {"Statistics": {"ContentType": "application/json", "S3Uri": storage.join(report, "verdict.json")}} if report else {}
        return {
            "ModelPackageGroupName": group,
            "ModelPackageDescription": f"bundle {bundle.fingerprint}",
            "InferenceSpecification": {
                "Containers": [{"Image": self._place.image(self._place.settings.images.ray), "ModelDataSource": model_data(bundle.uri)}],
                "SupportedContentTypes": ["application/json", "text/csv"],
                "SupportedResponseMIMETypes": ["application/json"],
                "SupportedRealtimeInferenceInstanceTypes": [self._place.settings.endpoint_instance],
            },
            "ModelApprovalStatus": "PendingManualApproval",
            "CustomerMetadataProperties": {key: str(value)[:_VALUE] for key, value in told.items()},
            **({"ModelMetrics": {"ModelQuality": statistics}} if statistics else {}),
            "ClientToken": bundle.fingerprint[:_TOKEN],  # a lost answer is asked for again, and makes no second version
        }

    def _version(self, name: str, package: Mapping[str, Any]) -> ModelVersion:
        container = package["InferenceSpecification"]["Containers"][0]
        metadata = package.get("CustomerMetadataProperties", {})
        created = package.get("CreationTime")
        return ModelVersion(
            name=name,
            version=str(package["ModelPackageVersion"]),
            uri=container["ModelDataSource"]["S3DataSource"]["S3Uri"].rstrip("/"),
            fingerprint=metadata.get(FINGERPRINT_TAG, ""),
            tags=dict(metadata),
            created=created.timestamp() if created is not None else 0.0,
        )


def _package_arn(group: str, version: str) -> str:
    return f"{group.replace(':model-package-group/', ':model-package/')}/{version}"
