"""Models: an image, its artefact and a role under one name."""

from __future__ import annotations

from cloud.practice.aws import checks, errors
from cloud.practice.aws.service import Call, Service, listing, now, operation
from cloud.practice.aws.store import Document, shown
from cloud.practice.aws.tags import Tags

KIND = "model"


class Models:
    def __init__(self, service: Service, tags: Tags) -> None:
        self._service, self._tags = service, tags

    @operation("CreateModel")
    def create(self, call: Call) -> Document:
        name, arn = call["ModelName"], self._service.arn(call.region, "model", call["ModelName"].lower())
        if self._service.store.get(call.region, KIND, name):
            raise errors.validation(f'Cannot create already existing model "{arn}".')
        if ("PrimaryContainer" in call.params) == bool(call.get("Containers")):
            raise errors.validation("You must specify exactly one of PrimaryContainer and Containers")
        if "ExecutionRoleArn" not in call.params:
            raise errors.validation("ExecutionRoleArn is required")
        checks.role(call["ExecutionRoleArn"])
        containers = call.get("Containers") or [call["PrimaryContainer"]]
        for container in containers:
            self._check(call.region, container)
        document = {key: value for key, value in call.params.items() if key != "Tags"}
        document |= {"ModelArn": arn, "CreationTime": now(), "EnableNetworkIsolation": call.get("EnableNetworkIsolation", False)}
        self._service.store.put(call.region, KIND, name, document)
        self._tags.put(call.region, arn, call.get("Tags", []))
        self._service.practice.events.begin("aws", KIND, name, call.params)
        self._service.event(KIND, name, "Created")
        return {"ModelArn": arn}

    def _check(self, region: str, container: Document) -> None:
        if package := container.get("ModelPackageName"):
            found = next((each for each in self._service.store.all(region, "model-package") if each["ModelPackageArn"] == package), None)
            if found is None:
                raise errors.validation(f"Model package {package} does not exist")
            if found.get("ModelApprovalStatus", "Approved") != "Approved":
                raise errors.validation(f"Model package {package} is not approved: its status is {found['ModelApprovalStatus']}")
            return
        if not container.get("Image"):
            raise errors.validation("A container needs an Image or a ModelPackageName")
        checks.image(self._service, container["Image"], "Image")
        checks.bucket(self._service, artefact(container))

    def find(self, region: str, name: str) -> Document:
        document = self._service.store.get(region, KIND, name)
        if document is None:
            raise errors.unknown("model", self._service.arn(region, "model", name))
        return document

    @operation("DescribeModel")
    def describe(self, call: Call) -> Document:
        return shown(self.find(call.region, call["ModelName"]))

    @operation("DeleteModel")
    def delete(self, call: Call) -> Document:
        self.find(call.region, call["ModelName"])
        self._service.store.remove(call.region, KIND, call["ModelName"])
        self._service.event(KIND, call["ModelName"], "Deleted")
        return {}

    @operation("ListModels")
    def list(self, call: Call) -> Document:
        documents = self._service.store.all(call.region, KIND)
        return listing(call, documents, key="Models", summary=_summary, name="ModelName")


def _summary(document: Document) -> Document:
    return {key: document[key] for key in ("ModelName", "ModelArn", "CreationTime")}


def containers_of(service: Service, region: str, model: Document) -> list[Document]:
    """A model's containers with image and artefact, those of a package looked up."""
    found = []
    for container in model.get("Containers") or [model["PrimaryContainer"]]:
        if package := container.get("ModelPackageName"):
            document = next(each for each in service.store.all(region, "model-package") if each["ModelPackageArn"] == package)
            own = document["InferenceSpecification"]["Containers"][0]
            container = {**own, "Environment": {**own.get("Environment", {}), **container.get("Environment", {})}}  # noqa: PLW2901
        found.append(container)
    return found


def artefact(container: Document) -> str:
    """Where a container's model data lies: an archive, a prefix that ends in ``/``, or "" when it has none."""
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        return str(container.get("ModelDataUrl") or "")
    return source["S3Uri"].rstrip("/") + "/" if source["S3DataType"] == "S3Prefix" else str(source["S3Uri"])
