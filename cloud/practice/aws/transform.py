"""Batch transform: a model's container, and every object below a prefix sent through it to ``<name>.out``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from cloud.practice.aws import channels, checks, errors
from cloud.practice.aws.hosting import Container
from cloud.practice.aws.jobs import Failed, JobRun, Stopped
from cloud.practice.aws.models import Models
from cloud.practice.aws.objects import joined, split
from cloud.practice.aws.service import Call, Service, now, operation
from cloud.practice.aws.simple_jobs import SimpleJobs
from cloud.practice.aws.store import Document
from cloud.practice.aws.tags import Tags

_START = 240.0  # seconds until /ping must have answered
_CALL = 600.0  # seconds for one request: your-algorithms-batch-code
_SUMMARY = ("TransformJobName", "TransformJobArn", "CreationTime", "TransformEndTime", "LastModifiedTime", "TransformJobStatus", "FailureReason")


class TransformRun(JobRun):
    kind, prefix = "transform", "TransformJob"
    _container: Container | None = None

    def work(self) -> None:
        params: dict[str, Any] = dict(self.document)
        model = self.service.store.get(self.region, "model", params["ModelName"])
        if model is None:
            raise Failed(f"ClientError: Could not find model {params['ModelName']}")
        injections = self.service.practice.injections
        if injections.take("image-pull", "aws", self.name):
            raise Failed("ClientError: Failed to pull the model's image: repository or tag not found")
        if slow := injections.take("slow-start", "aws", self.name):
            self.pause(slow.seconds)
        self._container = container = Container(self.service, self.region, self.name, self.folder, model)
        stream = f"{self.name}/algo-1-{int(time.time() * 1000)}"
        self.service.logs.open(self.region, self.log_group, stream)
        self.service.practice.events.note("aws", self.kind, self.name, logs={"algo-1": container.log})
        try:
            container.start(lambda host, line: self.line(stream, line), _variables(params))
            container.wait_ready(_START, self.stopping.is_set)
            self.change(TransformStartTime=now())
            self.service.event(self.kind, self.name, "Transforming")
            self._all(params, container)
        finally:
            container.stop()
            container.remove()

    def _all(self, params: Document, container: Container) -> None:
        source = params["TransformInput"]["DataSource"]["S3DataSource"]
        bucket, prefix, keys = channels.keys_of(self.service, source)
        if not keys:
            raise Failed(f"ClientError: No objects found at {source['S3Uri']}")
        output = params["TransformOutput"]
        for key in keys:
            body = self.service.objects.read(bucket, key) or b""
            answers = [self._one(container, params, part, key) for part in _records(params, body, self._payload(params, container))]
            glue = b"\n" if output.get("AssembleWith", "None") == "Line" else b""
            text = b"".join(answer + (glue if not answer.endswith(glue or b"\0") else b"") for answer in answers)
            target = joined(output["S3OutputPath"], f"{key.removeprefix(prefix)}.out")
            self.service.objects.write(*split(target), text)
            self.service.practice.events.note("aws", self.kind, self.name, artefacts={target: ""})

    def _payload(self, params: Document, container: Container) -> int:
        """Bytes of one request: the request's value, else the container's, else 6 MB."""
        if "MaxPayloadInMB" in params:
            return int(params["MaxPayloadInMB"]) * 2**20 or 2**62
        reply = container.parameters()
        try:
            return int(json.loads(reply.body)["MaxPayloadInMB"]) * 2**20
        except (ValueError, KeyError, TypeError):
            return 6 * 2**20

    def _one(self, container: Container, params: Document, part: bytes, key: str) -> bytes:
        if self.stopping.is_set():
            raise Stopped
        headers = {
            "Content-Type": params["TransformInput"].get("ContentType", "application/octet-stream"),
            "Accept": params["TransformOutput"].get("Accept", "*/*"),
        }
        reply = container.invoke(headers, part, _CALL)
        if not 200 <= reply.status < 300:
            text = reply.body[:200].decode(errors="replace")
            raise Failed(f"AlgorithmError: {key}: Bad HTTP status received from algorithm: {reply.status} {text}")
        return reply.body

    def finish(self, status: str, reason: str = "") -> None:
        self.change(TransformEndTime=now())
        super().finish(status, reason)


def _variables(params: Document) -> dict[str, str]:
    chosen = {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": params.get("MaxPayloadInMB"),
        "SAGEMAKER_BATCH_STRATEGY": {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}.get(params.get("BatchStrategy", "")),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": params.get("MaxConcurrentTransforms"),
        **params.get("Environment", {}),
    }
    return {name: str(value) for name, value in chosen.items() if value is not None}


def _records(params: Document, body: bytes, most: int) -> Iterator[bytes]:
    """What goes into one request each: the whole object, single lines, or as many lines as fit."""
    if params["TransformInput"].get("SplitType", "None") == "None":
        if len(body) > most:
            raise Failed(f"ClientError: Payload size {len(body)} is larger than MaxPayloadInMB; set SplitType, or raise it")
        yield body
        return
    lines = body.splitlines(keepends=True)
    if params.get("BatchStrategy", "MultiRecord") == "SingleRecord":
        yield from lines
        return
    batch = b""
    for line in lines:
        if batch and len(batch) + len(line) > most:
            yield batch
            batch = b""
        batch += line
    if batch:
        yield batch


class Transform(SimpleJobs):
    kind, prefix, resource, run = "transform", "TransformJob", "transform-job", TransformRun

    def __init__(self, service: Service, tags: Tags, models: Models) -> None:
        super().__init__(service, tags)
        self._models = models

    @operation("CreateTransformJob")
    def create(self, call: Call) -> Document:
        self._models.find(call.region, call["ModelName"])
        source = call["TransformInput"]
        if source.get("SplitType", "None") not in ("None", "Line"):
            raise errors.validation(f"SplitType {source['SplitType']}: practice splits by Line only")
        if source.get("CompressionType", "None") != "None":
            raise errors.validation("CompressionType: practice reads uncompressed objects only")
        if call.get("DataProcessing", {}).keys() & {"InputFilter", "OutputFilter", "JoinSource"} and call["DataProcessing"] != {"JoinSource": "None"}:
            raise errors.validation("DataProcessing: practice does not filter or join")
        if call.get("MaxConcurrentTransforms", 0) * call.get("MaxPayloadInMB", 6) > 100:
            raise errors.validation("MaxConcurrentTransforms * MaxPayloadInMB must not exceed 100 MB")
        checks.buckets(self._service, {"in": source, "out": call["TransformOutput"]})
        document = self._record(call)
        TransformRun(self._service, call.region, call["TransformJobName"]).begin()
        return {"TransformJobArn": document["TransformJobArn"]}

    @operation("DescribeTransformJob")
    def describe(self, call: Call) -> Document:
        return self._describe(call)

    @operation("StopTransformJob")
    def stop(self, call: Call) -> Document:
        return self._stop(call)

    @operation("ListTransformJobs")
    def list(self, call: Call) -> Document:
        return self._list(call, "TransformJobSummaries", lambda each: {key: each.get(key) for key in _SUMMARY})
