"""The AWS port: SageMaker's operations are ours, everything else is moto's.

A request for SageMaker passes, in this order: is the operation built (else 501), is the request well-formed by botocore's own model
(enums, patterns and maxima included), has a drill something to say, and the handler. The rest of AWS (S3, IAM, STS, ECR, CloudWatch,
Application Auto Scaling) goes to moto; objects that a request to S3 changed go to disk.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from cloud.practice.aws import drills, errors, validation
from cloud.practice.aws.runtime import Runtime
from cloud.practice.aws.service import Call, Handler, Service
from cloud.practice.settings import REGION

log = logging.getLogger(__name__)
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Environ = dict[str, Any]
_SCOPE = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")
# What moto keeps as plain records, truthfully: there is nothing to execute behind them.
MOTO_OPERATIONS = frozenset(f"{verb}{noun}" for noun in ("Experiment", "Trial", "TrialComponent") for verb in ("Create", "Describe", "Delete")) | {
    "ListExperiments",
    "ListTrials",
    "ListTrialComponents",
    "UpdateTrialComponent",
    "AssociateTrialComponent",
    "DisassociateTrialComponent",
}
SERVICES = frozenset({"s3", "iam", "sts", "ecr", "logs", "monitoring", "application-autoscaling", "ec2", "kms", "sagemaker"})
_NAMES = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    424: "Failed Dependency",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}


class Front:
    """A WSGI application."""

    def __init__(self, service: Service, handlers: dict[str, Handler], runtime: Runtime) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        self._service, self._handlers, self._runtime = service, handlers, runtime
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        region, name = _scope(environ)
        action = environ.get("HTTP_X_AMZ_TARGET", "")
        try:
            if action.startswith("SageMaker."):
                return self._sagemaker(environ, start_response, region, action.partition(".")[2])
            if name == "sagemaker" and environ["PATH_INFO"].startswith("/endpoints/"):
                return self._invoke(environ, start_response, region)
            if name not in SERVICES:
                raise errors.AwsError("NotImplementedException", f"practice has no {name}; it offers {', '.join(sorted(SERVICES))}", 501)
        except errors.AwsError as error:
            return _answer(start_response, error.status, {"__type": error.code, "message": error.message, "Message": error.message, **error.fields}, error.code)
        return self._other(environ, start_response, name)

    def _sagemaker(self, environ: Environ, start_response: StartResponse, region: str, action: str) -> Iterable[bytes]:
        handler = self._handlers.get(action)
        if handler is None:
            if action in MOTO_OPERATIONS:
                return self._other(environ, start_response, "sagemaker")
            raise errors.not_built(action)
        params = json.loads(_body(environ) or b"{}")
        validation.check(action, params)
        call = Call(action, params, region)
        drills.apply(call, self._service.practice.injections)
        try:
            return _answer(start_response, 200, handler(call))
        except errors.AwsError:
            raise
        except Exception as error:  # the edge: a fault of practice answers as the service's own fault, and its log has the traceback
            log.exception("%s", action)
            raise errors.AwsError("InternalFailure", f"practice: {type(error).__name__}: {error}", 500) from error

    def _invoke(self, environ: Environ, start_response: StartResponse, region: str) -> Iterable[bytes]:
        _, _, name, verb = environ["PATH_INFO"].split("/", 3)
        headers = {key.removeprefix("HTTP_").replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
        headers["content-type"] = environ.get("CONTENT_TYPE", "application/octet-stream")
        answer = self._runtime.answer(region, unquote(name), verb, headers, _body(environ))
        start_response(f"{answer.status} {_NAMES.get(answer.status, 'Status')}", [*answer.headers.items(), _request_id()])
        return answer.parts or [answer.body]

    def _other(self, environ: Environ, start_response: StartResponse, name: str) -> Iterable[bytes]:
        """To moto; then to disk what a request to S3 may have changed."""
        status = ""

        def started(line: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            nonlocal status
            status = line
            return start_response(line, headers, *rest)

        answer = self._moto(environ, started)
        if name != "s3" or environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return answer  # type: ignore[no-any-return]
        body = [b"".join(answer)]
        if status.startswith("2"):
            bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
            self._service.objects.sync(_text(bucket), _text(key) or None)
        return body


def _scope(environ: Environ) -> tuple[str, str]:
    """(region, service) of the signature; without one a request is S3's, as for addresses in a browser."""
    found = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", "") or unquote(environ.get("QUERY_STRING", "")).replace("X-Amz-Credential=", "Credential="))
    return (found[1], found[2]) if found else (REGION, "s3")


def _text(path: str) -> str:
    """WSGI gives bytes as Latin-1."""
    return path.encode("latin-1").decode("utf-8", errors="replace")


def _body(environ: Environ) -> bytes:
    if environ.get("wsgi.input_terminated"):
        return bytes(environ["wsgi.input"].read())
    return bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


def _request_id() -> tuple[str, str]:
    return "x-amzn-RequestId", str(uuid.uuid4())


def _answer(start_response: StartResponse, status: int, document: dict[str, Any], code: str = "") -> list[bytes]:
    body = json.dumps(document).encode()
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body))), _request_id()]
    start_response(f"{status} {_NAMES.get(status, 'Status')}", headers + ([("x-amzn-ErrorType", code)] if code else []))
    return [body]
