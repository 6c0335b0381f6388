"""Endpoint configurations: which models answer, with which share of the requests."""

from __future__ import annotations

from cloud.practice.aws import checks, errors
from cloud.practice.aws.models import Models
from cloud.practice.aws.service import Call, Service, listing, now, operation
from cloud.practice.aws.store import Document, shown
from cloud.practice.aws.tags import Tags

KIND = "endpoint-config"


class EndpointConfigs:
    def __init__(self, service: Service, tags: Tags, models: Models) -> None:
        self._service, self._tags, self._models = service, tags, models

    @operation("CreateEndpointConfig")
    def create(self, call: Call) -> Document:
        name, arn = call["EndpointConfigName"], self._service.arn(call.region, "endpoint-config", call["EndpointConfigName"].lower())
        if self._service.store.get(call.region, KIND, name):
            raise errors.validation(f'Cannot create already existing endpoint configuration "{arn}".')
        variants = call["ProductionVariants"]
        checks.unique([variant["VariantName"] for variant in [*variants, *call.get("ShadowProductionVariants", [])]], "variant names")
        for variant in [*variants, *call.get("ShadowProductionVariants", [])]:
            if "ModelName" not in variant:
                raise errors.validation(f"Variant {variant['VariantName']} needs a ModelName: practice has no inference components")
            self._models.find(call.region, variant["ModelName"])
            if ("InstanceType" in variant) == ("ServerlessConfig" in variant):
                raise errors.validation(f"Variant {variant['VariantName']} needs exactly one of InstanceType and ServerlessConfig")
        checks.buckets(self._service, {key: call.get(key) for key in ("DataCaptureConfig", "AsyncInferenceConfig")})
        document = {key: value for key, value in call.params.items() if key != "Tags"} | {"EndpointConfigArn": arn, "CreationTime": now()}
        self._service.store.put(call.region, KIND, name, document)
        self._tags.put(call.region, arn, call.get("Tags", []))
        return {"EndpointConfigArn": arn}

    def find(self, region: str, name: str) -> Document:
        document = self._service.store.get(region, KIND, name)
        if document is None:
            raise errors.unknown("endpoint configuration", self._service.arn(region, "endpoint-config", name))
        return document

    @operation("DescribeEndpointConfig")
    def describe(self, call: Call) -> Document:
        return shown(self.find(call.region, call["EndpointConfigName"]))

    @operation("DeleteEndpointConfig")
    def delete(self, call: Call) -> Document:
        self.find(call.region, call["EndpointConfigName"])
        self._service.store.remove(call.region, KIND, call["EndpointConfigName"])
        return {}

    @operation("ListEndpointConfigs")
    def list(self, call: Call) -> Document:
        documents = self._service.store.all(call.region, KIND)
        return listing(call, documents, key="EndpointConfigs", summary=_summary, name="EndpointConfigName")


def _summary(document: Document) -> Document:
    return {key: document[key] for key in ("EndpointConfigName", "EndpointConfigArn", "CreationTime")}
