"""Endpoints: ``Creating -> InService | Failed``, ``Updating``, ``Deleting``; the containers are processes here.

An update starts the new variants first and takes the old ones away when the new ones answer; when they do not, the old ones stay and
the endpoint is InService again with a reason.
"""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import suppress

from cloud.practice.aws import errors
from cloud.practice.aws.endpoint_configs import EndpointConfigs
from cloud.practice.aws.hosting import Container
from cloud.practice.aws.jobs import Failed
from cloud.practice.aws.service import Call, Service, listing, now, operation
from cloud.practice.aws.store import Document, shown
from cloud.practice.aws.tags import Tags

KIND = "endpoint"
_START = 240.0  # seconds until /ping must have answered: the Developer Guide's limit for a container's start
_SUMMARY = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")


class Endpoints:
    def __init__(self, service: Service, tags: Tags, configs: EndpointConfigs) -> None:
        self._service, self._tags, self._configs = service, tags, configs
        self._serving: dict[tuple[str, str], dict[str, Container]] = {}

    @operation("CreateEndpoint")
    def create(self, call: Call) -> Document:
        name, arn = call["EndpointName"], self._service.arn(call.region, "endpoint", call["EndpointName"].lower())
        if self._service.store.get(call.region, KIND, name):
            raise errors.validation(f'Cannot create already existing endpoint "{arn}".')
        config = self._configs.find(call.region, call["EndpointConfigName"])
        created = now()
        document = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": call["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": created,
            "LastModifiedTime": created,
            "_config": shown(config),
        }
        self._service.store.put(call.region, KIND, name, document)
        self._tags.put(call.region, arn, call.get("Tags", []))
        self._service.practice.events.begin("aws", KIND, name, call.params)
        self._service.event(KIND, name, "Creating")
        self._later(call.region, name)
        return {"EndpointArn": arn}

    def find(self, region: str, name: str) -> Document:
        document = self._service.store.get(region, KIND, name)
        if document is None:
            raise errors.unknown("endpoint", self._service.arn(region, "endpoint", name))
        return document

    @operation("DescribeEndpoint")
    def describe(self, call: Call) -> Document:
        return shown(self.find(call.region, call["EndpointName"]))

    @operation("ListEndpoints")
    def list(self, call: Call) -> Document:
        documents = self._service.store.all(call.region, KIND)
        return listing(
            call, documents, key="Endpoints", summary=lambda each: {key: each[key] for key in _SUMMARY}, name="EndpointName", status="EndpointStatus"
        )

    @operation("UpdateEndpoint")
    def update(self, call: Call) -> Document:
        name = call["EndpointName"]
        document = self._settled(call.region, name)
        config = self._configs.find(call.region, call["EndpointConfigName"])
        if call.get("RetainAllVariantProperties"):
            config = _with_kept(config, document, call)
        self._become(call.region, name, "Updating", EndpointConfigName=call["EndpointConfigName"], _config=shown(config))
        self._later(call.region, name)
        return {"EndpointArn": document["EndpointArn"]}

    @operation("UpdateEndpointWeightsAndCapacities")
    def weights(self, call: Call) -> Document:
        name = call["EndpointName"]
        document = self._settled(call.region, name)
        variants = {variant["VariantName"]: dict(variant) for variant in document.get("ProductionVariants", [])}
        for wish in call["DesiredWeightsAndCapacities"]:
            if wish["VariantName"] not in variants:
                raise errors.validation(f'The requested variant "{wish["VariantName"]}" is not part of endpoint "{name}"')
            variant = variants[wish["VariantName"]]
            if "DesiredWeight" in wish:
                variant["CurrentWeight"] = variant["DesiredWeight"] = wish["DesiredWeight"]
            if "DesiredInstanceCount" in wish:
                variant["CurrentInstanceCount"] = variant["DesiredInstanceCount"] = wish["DesiredInstanceCount"]
        self._become(call.region, name, "Updating")
        threading.Timer(0.5, self._become, (call.region, name, "InService"), {"ProductionVariants": list(variants.values())}).start()
        return {"EndpointArn": document["EndpointArn"]}

    @operation("DeleteEndpoint")
    def delete(self, call: Call) -> Document:
        name = call["EndpointName"]
        document = self.find(call.region, name)
        if document["EndpointStatus"] in ("Creating", "Updating", "Deleting"):
            raise errors.validation(f'Cannot update in-progress endpoint "{document["EndpointArn"]}".')
        self._become(call.region, name, "Deleting")
        threading.Thread(target=self._remove, args=(call.region, name), daemon=True).start()
        return {}

    def _remove(self, region: str, name: str) -> None:
        containers = self._serving.pop((region, name), {})
        for container in containers.values():
            container.stop()
        for container in containers.values():
            container.remove()
        self._service.store.remove(region, KIND, name)
        self._service.event(KIND, name, "Deleted")

    def _settled(self, region: str, name: str) -> Document:
        document = self.find(region, name)
        if document["EndpointStatus"] not in ("InService", "Failed"):
            raise errors.validation(f'Cannot update in-progress endpoint "{document["EndpointArn"]}".')
        return document

    def _become(self, region: str, name: str, status: str, message: str = "", **fields: object) -> None:
        with suppress(KeyError), self._service.store.changing(region, KIND, name) as document:  # it may be gone by now
            document.pop("FailureReason", None)
            document.update(fields, EndpointStatus=status, LastModifiedTime=now())
            if message:
                document["FailureReason"] = message
            self._service.event(KIND, name, status, message)

    def _later(self, region: str, name: str) -> None:
        threading.Thread(target=self._bring_up, args=(region, name), name=f"endpoint {name}", daemon=True).start()

    def _bring_up(self, region: str, name: str) -> None:
        """Start every variant; take the old ones away once the new ones answer."""
        old = self._serving.get((region, name), {})
        new: dict[str, Container] = {}
        document = self.find(region, name)
        try:
            if slow := self._service.practice.injections.take("slow-start", "aws", name):
                time.sleep(slow.seconds)
            if self._service.practice.injections.take("image-pull", "aws", name):
                raise Failed("Unable to pull the image of a production variant: repository or tag not found (drill)")
            variants = document["_config"]["ProductionVariants"]
            for variant in variants:
                new[variant["VariantName"]] = self._start(region, name, variant)
            for container in new.values():
                container.wait_ready(_START, lambda: self._service.live.closing)
        except Exception as failure:  # a thread's edge: whatever it was, the endpoint says it
            for container in new.values():
                container.stop()
            reason = str(failure) if isinstance(failure, Failed) else f"practice: {type(failure).__name__}: {failure}"
            self._become(region, name, "InService" if old else "Failed", reason)
            return
        self._serving[region, name] = new
        self._become(region, name, "InService", ProductionVariants=[_variant(each) for each in variants], **_kept(document["_config"]))
        for container in old.values():
            container.stop()
        for container in old.values():
            container.remove()

    def _start(self, region: str, name: str, variant: Document) -> Container:
        model = self._service.store.get(region, "model", variant["ModelName"])
        if model is None:
            raise Failed(f"Could not find model {variant['ModelName']}")
        stamp = f"{variant['VariantName']}-{int(time.time() * 1000)}"
        folder = self._service.store.folder(region, KIND, name) / stamp
        container = Container(self._service, region, name, folder, model)
        group = self._service.logs.group(KIND, name)
        stream = f"{variant['VariantName']}/i-{stamp}"
        self._service.logs.open(region, group, stream)
        self._service.practice.events.note("aws", KIND, name, logs={variant["VariantName"]: container.log})
        container.start(lambda host, line: self._service.logs.put(region, group, stream, line))
        return container

    def serving(self, region: str, name: str) -> dict[str, Container]:
        """Variant -> container of an endpoint that answers."""
        return self._serving.get((region, name), {})

    def resume(self) -> None:
        """After a restart: what was up is brought up again."""
        for document in self._service.store.everywhere(KIND):
            if document["EndpointStatus"] == "Deleting":
                self._service.store.remove(document["_region"], KIND, document["_name"])
            elif document["EndpointStatus"] != "Failed":
                shutil.rmtree(self._service.store.folder(document["_region"], KIND, document["_name"]), ignore_errors=True)  # of the containers that were
                self._become(document["_region"], document["_name"], "Updating", "")
                self._later(document["_region"], document["_name"])


def _variant(variant: Document) -> Document:
    weight, count = variant.get("InitialVariantWeight", 1.0), variant.get("InitialInstanceCount", 1)
    facts = {"VariantName": variant["VariantName"], "CurrentWeight": weight, "DesiredWeight": weight}
    if "ServerlessConfig" in variant:
        return facts | {"CurrentServerlessConfig": variant["ServerlessConfig"]}
    return facts | {"CurrentInstanceCount": count, "DesiredInstanceCount": count}


def _kept(config: Document) -> Document:
    """What Describe shows of the configuration beside the variants."""
    shown_parts: Document = {}
    if capture := config.get("DataCaptureConfig"):
        shown_parts["DataCaptureConfig"] = {
            "EnableCapture": capture.get("EnableCapture", False),
            "CaptureStatus": "Started" if capture.get("EnableCapture") else "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
    if "AsyncInferenceConfig" in config:
        shown_parts["AsyncInferenceConfig"] = config["AsyncInferenceConfig"]
    return shown_parts


def _with_kept(config: Document, document: Document, call: Call) -> Document:
    """A configuration whose variants keep the weights and counts they have now, unless those are excluded."""
    left_out = {each["VariantPropertyType"] for each in call.get("ExcludeRetainedVariantProperties", [])}
    now_of = {variant["VariantName"]: variant for variant in document.get("ProductionVariants", [])}
    variants = []
    for variant in config["ProductionVariants"]:
        current = now_of.get(variant["VariantName"])
        changed = dict(variant)
        if current and "DesiredWeight" not in left_out:
            changed["InitialVariantWeight"] = current["CurrentWeight"]
        if current and "DesiredInstanceCount" not in left_out and "CurrentInstanceCount" in current:
            changed["InitialInstanceCount"] = current["CurrentInstanceCount"]
        variants.append(changed)
    return {**config, "ProductionVariants": variants}
