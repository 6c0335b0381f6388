"""The HTTP side of the Azure front: one server stands for Resource Manager, identity, run history, MLflow, storage and scoring."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cloud.practice.azure import addresses, seeds, tokens
from cloud.practice.azure.blob_routes import BlobService
from cloud.practice.azure.deployments import Reply
from cloud.practice.azure.faults import Fault, not_implemented
from cloud.practice.azure.resource_routes import Resources, parsed
from cloud.practice.azure.service import Service
from cloud.practice.azure.tracking_routes import TrackingError, TrackingService
from cloud.practice.settings import GROUP, SUBSCRIPTION, WORKSPACE

log = logging.getLogger(__name__)
_ALL = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"]
_RUNS = re.compile(r"(?:experiments/[^/]+/|experimentids/[^/]+/)?runs/([^/]+)(?:/([\w/]+))?")
_MLFLOW = re.compile(r".*?/api/2\.0/(?:preview/)?mlflow/(.+)")
_HOP = ("connection", "transfer-encoding", "content-length", "date", "server")


def application(service: Service) -> Starlette:
    front = Front(service)
    storage = f"/{WORKSPACE}.blob.{seeds.SUFFIX}/{{container}}"
    routes = [
        Route("/metadata/endpoints", front.metadata),
        Route("/msi/token", front.token),
        Route("/discovery", front.discovery),
        Route(storage, front.storage, methods=_ALL),
        Route(storage + "/{name:path}", front.storage, methods=_ALL),
        Route("/endpoints/{name}/score", front.guarded(front.score), methods=["POST"]),
        Route("/history/v1.0/{path:path}", front.guarded(front.history), methods=_ALL),
        Route("/data/v1.0/{path:path}", front.guarded(front.resolved), methods=["POST"]),
        Route("/mlflow/{path:path}", front.guarded(front.tracking), methods=_ALL),
        Route("/{path:path}", front.guarded(front.resource), methods=_ALL),
    ]
    return Starlette(routes=routes)


class Front:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._resources = Resources(service)
        self._blobs = BlobService(service.blobs)
        self._tracking = TrackingService(service.tracking, service.jobs.artifacts)

    def guarded(self, handler: Callable[[Request, bytes], Response]) -> Callable[[Request], Awaitable[Response]]:
        """Run a handler in a thread; a fault, and any error, leaves in the service's envelope."""

        async def guarded(request: Request) -> Response:
            body = await request.body()
            try:
                return await run_in_threadpool(handler, request, body)
            except Fault as fault:
                return JSONResponse(fault.body(), fault.status, {**fault.headers, "x-ms-failure-cause": "service"})
            except TrackingError as error:
                return JSONResponse({"error_code": error.code, "message": str(error)}, error.status)
            except Exception as error:  # the edge: an answer of this form, rather than a page
                log.exception("%s %s", request.method, request.url.path)
                return JSONResponse(Fault(500, "InternalServerError", f"{type(error).__name__}: {error}").body(), 500)

        return guarded

    async def metadata(self, request: Request) -> Response:
        return JSONResponse(seeds.cloud(self._service.practice))

    async def discovery(self, request: Request) -> Response:
        return JSONResponse(seeds.discovery(self._service.practice))

    async def token(self, request: Request) -> Response:
        if request.headers.get("x-identity-header") != tokens.HEADER:
            return JSONResponse({"statusCode": 401, "message": "The X-IDENTITY-HEADER does not match."}, 401)
        return JSONResponse(tokens.issue(request.query_params.get("resource", "")))

    async def storage(self, request: Request) -> Response:
        return await self._blobs.handle(request, request.path_params["container"], request.path_params.get("name", ""))

    def resource(self, request: Request, body: bytes) -> Response:
        tokens.check(request.headers.get("authorization", ""))
        path = request.url.path
        if found := self._around(request.method, path.rstrip("/").lower()):
            return found
        if "/providers/microsoft.machinelearningservices/workspaces" not in path.lower():
            raise not_implemented(f"{request.method} {path}")
        at = addresses.parse(path)
        if request.method != "GET" and (drill := self._service.practice.injections.take("throttle", "azure", at.parts[1] if len(at.parts) > 1 else "")):
            message = f"The request is being throttled as the limit has been reached for operation type - {drill.kind}."
            raise Fault(429, "TooManyRequests", message, headers={"Retry-After": "1"})
        return self._resources.answer(request.method, at, dict(request.query_params), body, self._service.practice.azure_url)

    def _around(self, method: str, path: str) -> Response | None:
        """The subscription, the group, and the list of workspaces."""
        if method != "GET":
            return None
        subscription, group = f"/subscriptions/{SUBSCRIPTION}", f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
        if path == subscription:
            return JSONResponse({"id": subscription, "subscriptionId": SUBSCRIPTION, "displayName": GROUP, "state": "Enabled", "tenantId": SUBSCRIPTION})
        if path == group.lower():
            return JSONResponse({"id": group, "name": GROUP, "location": seeds.LOCATION, "properties": {"provisioningState": "Succeeded"}})
        if path in (f"{start.lower()}/providers/microsoft.machinelearningservices/workspaces" for start in (subscription, group)):
            return JSONResponse({"value": [seeds.workspace(self._service.practice)]})
        return None

    def history(self, request: Request, body: bytes) -> Response:
        tokens.check(request.headers.get("authorization", ""))
        scope, _, path = request.path_params["path"].partition(f"/workspaces/{WORKSPACE}/")
        addresses.parse(f"/{scope}/workspaces/{WORKSPACE}")
        history = self._service.history
        if request.method == "POST" and path == "rundata":
            return JSONResponse(history.data(str(parsed(body).get("runId"))))
        found = _RUNS.fullmatch(path)
        match request.method, (found[2] or "" if found else None):
            case "GET", "":
                return JSONResponse(history.run(found[1]))  # type: ignore[index]
            case "GET", "details":
                return JSONResponse(history.details(found[1]))  # type: ignore[index]
            case "GET", "children":
                return JSONResponse(history.children(found[1]))  # type: ignore[index]
            case "PATCH", "":
                return JSONResponse(history.change(found[1], parsed(body)))  # type: ignore[index]
            case "GET", what if what and what.startswith("serviceinstances"):
                return JSONResponse({"instances": {}})
        raise not_implemented(f"{request.method} {path} of run history")

    def resolved(self, request: Request, body: bytes) -> Response:
        """Where the outputs lie that run history named: a named output's id is its address already."""
        tokens.check(request.headers.get("authorization", ""))
        if not request.url.path.endswith("/dataversion/batchGetResolvedUris"):
            raise not_implemented(f"POST {request.url.path}")
        return JSONResponse({"values": {uri: {"uri": uri, "type": "uri_folder"} for uri in parsed(body).get("values", ())}})

    def tracking(self, request: Request, body: bytes) -> Response:
        tokens.check(request.headers.get("authorization", ""))
        found = _MLFLOW.fullmatch(request.url.path)
        if not found:
            raise TrackingError(404, "ENDPOINT_NOT_FOUND", f"The practice tracking service does not implement {request.url.path}.")
        given = dict(request.query_params) if request.method == "GET" else json.loads(body or b"{}")
        return JSONResponse(self._tracking.answer(request.method, found[1], given))

    def score(self, request: Request, body: bytes) -> Response:
        headers = dict(request.headers)
        name = request.path_params["name"]
        deployment, reply = self._service.endpoints.score(name, headers.get("authorization", ""), headers.get("azureml-model-deployment", ""), headers, body)
        return _scored(deployment, reply)


def _scored(deployment: str, reply: Reply) -> Response:
    """The container's answer; 424 with its status in a header when it failed, 504 when it was too slow."""
    headers = {key: value for key, value in reply.headers.items() if key.lower() not in _HOP} | {"azureml-model-deployment": deployment}
    if reply.status == 0:
        return Response("upstream request timeout", 504, headers)
    if reply.status >= 400:
        return Response(reply.body, 424, {**headers, "ms-azureml-model-error-statuscode": str(reply.status)})
    return Response(reply.body, reply.status, headers)
