"""The model registry: package groups, versions in them, and their approval."""

from __future__ import annotations

from typing import Any

from cloud.practice.aws import checks, errors
from cloud.practice.aws.service import Call, Service, listing, now, operation
from cloud.practice.aws.store import Document, shown
from cloud.practice.aws.tags import Tags

GROUP, PACKAGE = "model-package-group", "model-package"
_GROUP_SUMMARY = ("ModelPackageGroupName", "ModelPackageGroupArn", "ModelPackageGroupDescription", "CreationTime", "ModelPackageGroupStatus")
_SUMMARY = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "ModelPackageDescription",
    "CreationTime",
    "ModelPackageStatus",
    "ModelApprovalStatus",
)
_NOT_KEPT = ("Tags", "ClientToken", "ModelPackageGroupName")
_MOST_METADATA = 50


class Registry:
    def __init__(self, service: Service, tags: Tags) -> None:
        self._service, self._tags = service, tags

    @operation("CreateModelPackageGroup")
    def create_group(self, call: Call) -> Document:
        name, arn = call["ModelPackageGroupName"], self._service.arn(call.region, GROUP, call["ModelPackageGroupName"])
        if self._service.store.get(call.region, GROUP, name):
            raise errors.validation(f"Model Package Group already exists: {arn}")
        document = {key: value for key, value in call.params.items() if key != "Tags"}
        document |= {"ModelPackageGroupArn": arn, "CreationTime": now(), "CreatedBy": {}, "ModelPackageGroupStatus": "Completed"}
        self._service.store.put(call.region, GROUP, name, document)
        self._tags.put(call.region, arn, call.get("Tags", []))
        return {"ModelPackageGroupArn": arn}

    def group(self, region: str, name: str) -> Document:
        """By name or ARN."""
        document = self._service.store.get(region, GROUP, name.rsplit("/", 1)[-1])
        if document is None:
            raise errors.validation(f"Model Package Group {self._service.arn(region, GROUP, name.rsplit('/', 1)[-1])} does not exist.")
        return document

    @operation("DescribeModelPackageGroup")
    def describe_group(self, call: Call) -> Document:
        return shown(self.group(call.region, call["ModelPackageGroupName"]))

    @operation("ListModelPackageGroups")
    def list_groups(self, call: Call) -> Document:
        documents = self._service.store.all(call.region, GROUP)
        return listing(
            call,
            documents,
            key="ModelPackageGroupSummaryList",
            summary=lambda each: {key: each.get(key) for key in _GROUP_SUMMARY},
            name="ModelPackageGroupName",
        )

    @operation("DeleteModelPackageGroup")
    def delete_group(self, call: Call) -> Document:
        document = self.group(call.region, call["ModelPackageGroupName"])
        if self._versions(call.region, document["ModelPackageGroupName"]):
            raise errors.AwsError("ConflictException", f"Model Package Group {document['ModelPackageGroupArn']} is not empty: delete its model packages first")
        self._service.store.remove(call.region, GROUP, document["ModelPackageGroupName"])
        return {}

    @operation("PutModelPackageGroupPolicy")
    def put_policy(self, call: Call) -> Document:
        document = self.group(call.region, call["ModelPackageGroupName"])
        with self._service.store.changing(call.region, GROUP, document["_name"]) as changed:
            changed["_policy"] = call["ResourcePolicy"]
        return {"ModelPackageGroupArn": document["ModelPackageGroupArn"]}

    @operation("GetModelPackageGroupPolicy")
    def get_policy(self, call: Call) -> Document:
        document = self.group(call.region, call["ModelPackageGroupName"])
        if "_policy" not in document:
            raise errors.validation(f"Cannot find resource policy for {document['ModelPackageGroupArn']}")
        return {"ResourcePolicy": document["_policy"]}

    @operation("DeleteModelPackageGroupPolicy")
    def delete_policy(self, call: Call) -> Document:
        document = self.group(call.region, call["ModelPackageGroupName"])
        with self._service.store.changing(call.region, GROUP, document["_name"]) as changed:
            changed.pop("_policy", None)
        return {}

    def _versions(self, region: str, group: str) -> list[Document]:
        return [each for each in self._service.store.all(region, PACKAGE) if each.get("ModelPackageGroupName") == group]

    @operation("CreateModelPackage")
    def create(self, call: Call) -> Document:
        grouped, named = call.get("ModelPackageGroupName"), call.get("ModelPackageName")
        if bool(grouped) == bool(named):
            raise errors.validation("You must specify exactly one of ModelPackageGroupName and ModelPackageName")
        if "InferenceSpecification" not in call.params and "SourceAlgorithmSpecification" not in call.params:
            raise errors.validation("InferenceSpecification is required")
        if "SourceAlgorithmSpecification" in call.params or "ValidationSpecification" in call.params:
            raise errors.validation("practice has no algorithms of the marketplace and validates no packages")
        for container in call["InferenceSpecification"]["Containers"]:
            checks.image(self._service, container.get("Image"), "Image")
            checks.bucket(self._service, container.get("ModelDataUrl"))
        if len(call.get("CustomerMetadataProperties", {})) > _MOST_METADATA:
            raise errors.validation(f"CustomerMetadataProperties may have {_MOST_METADATA} entries")
        with self._service.store.lock:
            document = self._grouped(call, grouped) if grouped else self._alone(call, str(named))
        self._tags.put(call.region, document["ModelPackageArn"], call.get("Tags", []))
        return {"ModelPackageArn": document["ModelPackageArn"]}

    def _grouped(self, call: Call, group: str) -> Document:
        name = self.group(call.region, group)["ModelPackageGroupName"]
        if token := call.get("ClientToken"):
            for each in self._versions(call.region, name):
                if each.get("_token") == token:
                    return each
        group_document = self._service.store.get(call.region, GROUP, name) or {}
        version = group_document.get("_last", 0) + 1
        with self._service.store.changing(call.region, GROUP, name) as changed:
            changed["_last"] = version  # a number is not used twice, also when its version was deleted
        arn = self._service.arn(call.region, PACKAGE, f"{name}/{version}")
        more = {"ModelPackageGroupName": name, "ModelPackageVersion": version, "ModelApprovalStatus": call.get("ModelApprovalStatus", "PendingManualApproval")}
        return self._put(call, f"{name}/{version}", {"ModelPackageArn": arn, "_token": token, **more})

    def _alone(self, call: Call, name: str) -> Document:
        arn = self._service.arn(call.region, PACKAGE, name)
        if self._service.store.get(call.region, PACKAGE, name):
            raise errors.validation(f"Model Package already exists: {arn}")
        return self._put(call, name, {"ModelPackageArn": arn})

    def _put(self, call: Call, name: str, more: Document) -> Document:
        created = now()
        document = {key: value for key, value in call.params.items() if key not in _NOT_KEPT}
        document |= {"CreationTime": created, "LastModifiedTime": created, "ModelPackageStatus": "Completed", "CertifyForMarketplace": False}
        document |= {"ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []}, **more}
        self._service.practice.events.begin("aws", PACKAGE, name, call.params)
        self._service.event(PACKAGE, name, str(document.get("ModelApprovalStatus", "Completed")))
        return self._service.store.put(call.region, PACKAGE, name, document)

    def find(self, region: str, name: str) -> Document:
        """By name or ARN."""
        document = self._service.store.get(region, PACKAGE, name.split(":model-package/", 1)[-1])
        if document is None:
            raise errors.validation(f"Model Package {name} does not exist.")
        return document

    @operation("DescribeModelPackage")
    def describe(self, call: Call) -> Document:
        return shown(self.find(call.region, call["ModelPackageName"]))

    @operation("BatchDescribeModelPackage")
    def describe_many(self, call: Call) -> Document:
        found: dict[str, Any] = {}
        missing: dict[str, Any] = {}
        for arn in call["ModelPackageArnList"]:
            try:
                document = shown(self.find(call.region, arn))
            except errors.AwsError as error:
                missing[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
                continue
            keys = (
                "ModelPackageGroupName",
                "ModelPackageVersion",
                "ModelPackageArn",
                "CreationTime",
                "InferenceSpecification",
                "ModelPackageStatus",
                "ModelApprovalStatus",
            )
            found[arn] = {key: document[key] for key in keys if key in document}
        return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": missing}

    @operation("UpdateModelPackage")
    def update(self, call: Call) -> Document:
        document = self.find(call.region, call["ModelPackageArn"])
        if "ModelApprovalStatus" in call.params and "ModelApprovalStatus" not in document:
            raise errors.validation("ModelApprovalStatus belongs to versions of a group")
        with self._service.store.changing(call.region, PACKAGE, document["_name"]) as changed:
            for key in ("ModelApprovalStatus", "ApprovalDescription", "SourceUri", "InferenceSpecification", "ModelLifeCycle", "ModelCard"):
                if key in call.params:
                    changed[key] = call[key]
            metadata = {**changed.get("CustomerMetadataProperties", {}), **call.get("CustomerMetadataProperties", {})}
            for key in call.get("CustomerMetadataPropertiesToRemove", []):
                metadata.pop(key, None)
            if len(metadata) > _MOST_METADATA:
                raise errors.validation(f"CustomerMetadataProperties may have {_MOST_METADATA} entries")
            changed["CustomerMetadataProperties"] = metadata
            changed["AdditionalInferenceSpecifications"] = [
                *changed.get("AdditionalInferenceSpecifications", []),
                *call.get("AdditionalInferenceSpecificationsToAdd", []),
            ]
            changed["LastModifiedTime"] = now()
        if "ModelApprovalStatus" in call.params:
            self._service.event(PACKAGE, document["_name"], call["ModelApprovalStatus"], call.get("ApprovalDescription", ""))
        return {"ModelPackageArn": document["ModelPackageArn"]}

    @operation("DeleteModelPackage")
    def delete(self, call: Call) -> Document:
        document = self.find(call.region, call["ModelPackageName"])
        self._service.store.remove(call.region, PACKAGE, document["_name"])
        return {}

    @operation("ListModelPackages")
    def list(self, call: Call) -> Document:
        documents = self._service.store.all(call.region, PACKAGE)
        if group := call.get("ModelPackageGroupName"):
            documents = self._versions(call.region, self.group(call.region, group)["ModelPackageGroupName"])
        elif call.get("ModelPackageType", "Unversioned") == "Unversioned":
            documents = [each for each in documents if "ModelPackageGroupName" not in each]
        elif call["ModelPackageType"] == "Versioned":
            documents = [each for each in documents if "ModelPackageGroupName" in each]
        if approval := call.get("ModelApprovalStatus"):
            documents = [each for each in documents if each.get("ModelApprovalStatus") == approval]
        named = [{**each, "ModelPackageName": each.get("ModelPackageName", each["_name"])} for each in documents]
        return listing(call, named, key="ModelPackageSummaryList", summary=_summary, name="ModelPackageName")


def _summary(document: Document) -> Document:
    hidden = ("ModelPackageName",) if "ModelPackageGroupName" in document else ()
    return {key: document.get(key) for key in _SUMMARY if key not in hidden}
