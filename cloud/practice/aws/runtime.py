"""Invoking endpoints: at once, as a stream, or with input and output in S3."""

from __future__ import annotations

import json
import random
import threading
import uuid
from typing import TYPE_CHECKING

from cloud.practice.aws import errors, event_stream
from cloud.practice.aws.hosting import Container, Reply
from cloud.practice.aws.objects import joined, split
from cloud.practice.aws.service import Service
from cloud.practice.aws.store import Document
from cloud.practice.settings import ACCOUNT

if TYPE_CHECKING:
    from cloud.practice.aws.endpoints import Endpoints

_PASSED = {"x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-inference-id", "x-amzn-sagemaker-session-id"}
_MOST = 25 * 2**20  # bytes of a request's body: InvokeEndpoint's documentation
_ASYNC = 3600.0
_STREAMED = "invocations-response-stream"


class Runtime:
    def __init__(self, service: Service, endpoints: Endpoints) -> None:
        self._service, self._endpoints = service, endpoints

    def answer(self, region: str, name: str, verb: str, headers: dict[str, str], body: bytes) -> Reply:
        document = self._service.store.get(region, "endpoint", name)
        if document is None or not (serving := self._endpoints.serving(region, name)):
            raise errors.AwsError("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
        if self._service.practice.injections.take("throttle", "aws", name):
            raise errors.throttled()
        variant = self._choose(document, headers.get("x-amzn-sagemaker-target-variant", ""), serving)
        if verb == "async-invocations":
            return self._later(region, name, document, serving[variant], variant, headers)
        if len(body) > _MOST:
            raise errors.AwsError("ValidationError", f"Request size {len(body)} bytes is larger than the limit of {_MOST} bytes")
        if verb == _STREAMED:
            return self._streamed(region, name, variant, serving[variant].stream(_inward(headers), body))
        return self._checked(region, name, variant, serving[variant].invoke(_inward(headers), body))

    def _streamed(self, region: str, name: str, variant: str, reply: Reply) -> Reply:
        """Each part of the container's answer is an event; a failure before the first part is a ModelError, as for a plain answer."""
        if reply.parts is None:
            return self._checked(region, name, variant, reply)
        told = {"X-Amzn-SageMaker-Content-Type": reply.headers.get("content-type", ""), "x-Amzn-Invoked-Production-Variant": variant}
        return Reply(200, {"Content-Type": event_stream.CONTENT_TYPE, **told}, b"", (event_stream.payload_part(part) for part in reply.parts))

    def _checked(self, region: str, name: str, variant: str, reply: Reply) -> Reply:
        """A container's answer as the service passes it on; its faults become ModelError (424)."""
        if 200 <= reply.status < 300:
            passed = {key: value for key, value in reply.headers.items() if key in ("content-type", *_PASSED)}
            return Reply(200, {**passed, "x-Amzn-Invoked-Production-Variant": variant, "Content-Length": str(len(reply.body))}, reply.body)
        status = reply.status or 500
        text = reply.body.decode(errors="replace") if reply.status else "The container did not answer within 60 seconds"
        group = self._service.logs.group("endpoint", name)
        where = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group}"
        who = "server" if status >= 500 else "client"
        message = f'Received {who} error ({status}) from {variant} with message "{text[:1024]}". See {where} in account {ACCOUNT} for more information.'
        stream = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}"
        raise errors.AwsError("ModelError", message, 424, OriginalStatusCode=status, OriginalMessage=text[:1024], LogStreamArn=stream)

    @staticmethod
    def _choose(document: Document, wanted: str, serving: dict[str, Container]) -> str:
        """By weight, unless the request names one."""
        if wanted:
            if wanted not in serving:
                raise errors.AwsError("ValidationError", f"Variant {wanted} is not found for endpoint {document['EndpointName']}")
            return wanted
        weights = {variant["VariantName"]: variant["CurrentWeight"] for variant in document.get("ProductionVariants", []) if variant["VariantName"] in serving}
        if sum(weights.values()) <= 0:
            return next(iter(serving))
        return random.choices(list(weights), list(weights.values()))[0]  # noqa: S311

    def _later(self, region: str, name: str, document: Document, container: Container, variant: str, headers: dict[str, str]) -> Reply:
        """Take the input from S3 and answer where the output will lie."""
        config = document.get("AsyncInferenceConfig")
        if not config:
            raise errors.AwsError("ValidationError", f"Endpoint {name} has no AsyncInferenceConfig")
        source = headers.get("x-amzn-sagemaker-inputlocation", "")
        body = self._service.objects.read(*split(source))
        if body is None:
            raise errors.AwsError("ValidationError", f"InputLocation {source} does not exist")
        identity = headers.get("x-amzn-sagemaker-inference-id") or str(uuid.uuid4())
        target = joined(config["OutputConfig"]["S3OutputPath"], f"{uuid.uuid4()}.out")
        failure = joined(config["OutputConfig"].get("S3FailurePath", config["OutputConfig"]["S3OutputPath"]), f"{uuid.uuid4()}-error.out")

        def work() -> None:
            reply = container.invoke(_inward(headers), body, _ASYNC)
            good = 200 <= reply.status < 300
            self._service.objects.write(*split(target if good else failure), reply.body)

        threading.Thread(target=work, name=f"async {name} {variant}", daemon=True).start()
        answer = json.dumps({"InferenceId": identity}).encode()
        where = {"X-Amzn-SageMaker-OutputLocation": target, "X-Amzn-SageMaker-FailureLocation": failure}
        return Reply(202, {"Content-Type": "application/json", "Content-Length": str(len(answer)), **where}, answer)


def _inward(headers: dict[str, str]) -> dict[str, str]:
    """The headers that a container sees."""
    kind = headers.get("x-amzn-sagemaker-content-type") or headers.get("content-type", "application/octet-stream")
    accepted = headers.get("x-amzn-sagemaker-accept") or headers.get("accept", "*/*")
    passed = {key: value for key, value in headers.items() if key in _PASSED}
    return {"Content-Type": kind or "application/octet-stream", "Accept": accepted, **passed}
