"""An API server in this process: kmock's emulator over real HTTP, with what Seatrial needs of a cluster beyond storing objects.

Selectors, dry runs, strategic merges of owners, garbage collection, suspension as the controllers do it, logs, and ``exec``
over the v4 channel protocol, which runs the command here with the volume's folder in place of ``/seatrial/store``.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kmock
import yaml
from aiohttp import web

from tests.cluster.exec_server import run_command

Object = dict[str, Any]
PLURALS = {
    "ConfigMap": "v1/configmaps",
    "Event": "v1/events",
    "Job": "batch/v1/jobs",
    "Pod": "v1/pods",
    "RayJob": "ray.io/v1/rayjobs",
    "Secret": "v1/secrets",
    "Service": "v1/services",
}
PLURALS |= {"Workload": "kueue.x-k8s.io/v1beta2/workloads"}
NAMESPACE, CONTEXT, TOKEN = "seatrial", "practice", "let-me-in"


class KubeServer(kmock.KubernetesEmulator):
    """A cluster of one namespace. Tests play the nodes: they set statuses and write logs."""

    def __init__(self, volume: Path) -> None:
        super().__init__()
        self.volume = volume
        self.serves_rayjobs = True
        self.staging_pods_start = True
        self.asked: list[str] = []  # "METHOD path" of every request
        self.refusals: list[tuple[str, int, str]] = []  # (pattern of "METHOD path", status, message)
        self.troubles = 0  # how many of the next requests find the server busy
        self.log_lines: dict[str, list[tuple[str, str]]] = {}  # pod -> (time stamp, text)
        self.log_breaks: list[int] = []  # after how many lines the next log requests lose their connection
        self.commands: list[list[str]] = []  # what was run by exec
        for each in PLURALS.values():
            self.resources[each] = {}

    # What tests do

    def put(self, kind: str, body: Object) -> Object:
        """Put an object there, as something else in the cluster would."""
        whole = {"kind": kind, **body, "metadata": {"namespace": NAMESPACE, **_identity(), **body["metadata"]}}
        self.objects._objects[self._key(kind, whole["metadata"]["name"])] = kmock.Object(whole)
        return whole

    def get(self, kind: str, name: str) -> Object | None:
        found = self.objects._objects.get(self._key(kind, name))
        return None if found is None or found.deleted else found.raw

    def names(self, kind: str) -> list[str]:
        return [name for (resource, _, name), each in list(self.objects._objects.items()) if resource == kmock.resource(PLURALS[kind]) and not each.deleted]

    def set_status(self, kind: str, name: str, **status: Any) -> None:
        self.objects._objects[self._key(kind, name)].patch({"status": status})

    def remove(self, kind: str, name: str) -> None:
        body = self.get(kind, name)
        if body is not None:
            self.objects._objects[self._key(kind, name)].delete()
            self._collect_garbage(body["metadata"]["uid"])

    def add_pod(self, name: str, owner: Object, phase: str = "Running", *, labels: Mapping[str, str] | None = None, **status: Any) -> Object:
        """A pod of a job, labelled and placed as the controllers do it; ``labels`` default to those of a ``batch/v1`` Job's pod."""
        marks = {**owner["metadata"]["labels"], **({"batch.kubernetes.io/job-name": owner["metadata"]["name"]} if labels is None else labels)}
        placed = {} if phase == "Pending" else {"nodeName": "node-1"}
        ready = {"name": "step", "ready": phase == "Running", "restartCount": 0, "state": {}}
        status = {"phase": phase, "containerStatuses": [ready], **status}
        return self.put("Pod", {"metadata": {"name": name, "labels": marks}, "spec": {"containers": [{"name": "step"}], **placed}, "status": status})

    def say(self, pod: str, text: str, stamp: str = "") -> None:
        lines = self.log_lines.setdefault(pod, [])
        lines.append((stamp or f"2026-11-24T10:00:{len(lines):02d}.000000000Z", text))

    def add_event(self, kind: str, name: str, reason: str, message: str) -> None:
        about = {"kind": kind, "name": name, "namespace": NAMESPACE}
        self.put("Event", {"metadata": {"name": uuid.uuid4().hex}, "involvedObject": about, "reason": reason, "message": message, "type": "Warning"})

    # What clients see

    async def __call__(self, raw_request: web.BaseRequest) -> web.StreamResponse:
        refused = self._refused(raw_request)
        if refused is not None:
            return refused
        if namespace := re.fullmatch(r"/api/v1/namespaces/([^/]+)", raw_request.path):
            known = namespace[1] == NAMESPACE
            return web.json_response({"kind": "Namespace"}) if known else _refusal(404, f'namespaces "{namespace[1]}" not found')
        if raw_request.path.endswith("/exec"):
            return await self._exec(raw_request)
        if raw_request.path.endswith("/log"):
            return await self._log(raw_request)
        return await super().__call__(raw_request)

    def _refused(self, raw: web.BaseRequest) -> web.Response | None:
        said = f"{raw.method} {raw.path}"
        self.asked.append(said)
        scheme, _, token = raw.headers.get("authorization", "").partition(" ")
        if (scheme.lower(), token) != ("bearer", TOKEN):  # inside a cluster the client writes it small
            return _refusal(401, "Unauthorized")
        if self.troubles:
            self.troubles -= 1
            return _refusal(503, "starting")
        if not self.serves_rayjobs and raw.path.startswith("/apis/ray.io"):
            return web.Response(status=404, text="404 page not found\n")
        return next((_refusal(status, message) for pattern, status, message in self.refusals if re.search(pattern, said)), None)

    async def _handle(self, request: Any) -> web.StreamResponse:
        if request.action == kmock.action.CREATE:
            if request.namespace != NAMESPACE:
                return _refusal(404, f'namespaces "{request.namespace}" not found')
            if (path := _reserved_path(request.data)) is not None:
                return _refusal(422, f"configMap.items.path: Invalid value: {path!r}: must not start with '..'")
            request.data["metadata"].update(_identity())
            if request.params.get("dryRun") == "All":
                exists = self.get(request.data["kind"], request.data["metadata"]["name"])
                return _refusal(409, "already exists") if exists else web.json_response(request.data, status=201)
        if request.action == kmock.action.UPDATE:
            self._merge_owners(request)
        doomed = self._of(request) if request.action == kmock.action.DELETE else None
        response = await super()._handle(request)
        if request.action == kmock.action.LIST and request.params.get("labelSelector"):
            return _selected(response, request.params["labelSelector"])
        if doomed:
            self._collect_garbage(doomed["metadata"]["uid"])
        if request.action in (kmock.action.CREATE, kmock.action.UPDATE):
            self._control(request)
        return response

    def _of(self, request: Any) -> Object | None:
        found = self.objects._objects.get((request.resource, request.namespace, request.name))
        return None if found is None or found.deleted else found.raw

    def _merge_owners(self, request: Any) -> None:
        """``ownerReferences`` is a list merged by uid: https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/"""
        added, current = request.data.get("metadata", {}).get("ownerReferences"), self._of(request)
        if added and current and "strategic" in request.headers["Content-Type"]:
            owners = {owner["uid"]: owner for owner in [*current["metadata"].get("ownerReferences", ()), *added]}
            request.data["metadata"]["ownerReferences"] = list(owners.values())

    def _collect_garbage(self, uid: str) -> None:
        for each in list(self.objects._objects.values()):
            owners = [] if each.deleted else each.raw["metadata"].get("ownerReferences", [])
            if any(owner["uid"] == uid for owner in owners):
                left = [owner for owner in owners if owner["uid"] != uid]
                each.patch({"metadata": {"ownerReferences": left}}) if left else each.delete()

    def _control(self, request: Any) -> None:
        """What the controllers answer to a new or changed object."""
        name = request.name or request.data["metadata"]["name"]
        kind = next(kind for kind, plural in PLURALS.items() if kmock.resource(plural) == request.resource)
        body = self.get(kind, name)
        assert body is not None
        if kind == "Pod" and body["metadata"].get("labels", {}).get("app.kubernetes.io/component") == "staging" and self.staging_pods_start:
            self.set_status("Pod", name, phase="Running", containerStatuses=[{"name": "staging", "ready": True, "state": {"running": {}}}])
        if "suspend" in request.data.get("spec", {}) and kind in ("Job", "RayJob"):
            self._suspend(kind, name, suspend=request.data["spec"]["suspend"])

    def _suspend(self, kind: str, name: str, *, suspend: bool) -> None:
        if kind == "RayJob":
            self.set_status(kind, name, jobDeploymentStatus="Suspended" if suspend else "")
        else:
            self.set_status(kind, name, conditions=[{"type": "Suspended", "status": str(suspend), "reason": "JobSuspended"}])
        for pod in self.names("Pod") if suspend else ():
            if (self.get("Pod", pod) or {})["metadata"].get("labels", {}).get("batch.kubernetes.io/job-name") == name:
                self.remove("Pod", pod)

    async def _log(self, raw: web.BaseRequest) -> web.StreamResponse:
        pod = raw.path.split("/")[-2]
        since = raw.query.get("sinceTime", "")[:19]  # whole seconds, as the kubelet counts
        limit = self.log_breaks.pop(0) if self.log_breaks else sys.maxsize
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(raw)
        sent = 0
        while True:
            running = raw.query.get("follow") == "true" and (self.get("Pod", pod) or {}).get("status", {}).get("phase") == "Running"
            lines = [line for line in self.log_lines.get(pod, []) if line[0][:19] >= since]
            for stamp, text in lines[sent:]:
                if sent == limit:
                    assert raw.transport is not None
                    raw.transport.abort()
                    return response
                await response.write(f"{stamp} {text}\n".encode())
                sent += 1
            if not running:
                await response.write_eof()
                return response
            await asyncio.sleep(0.01)

    async def _exec(self, raw: web.BaseRequest) -> web.StreamResponse:
        if self.get("Pod", raw.path.split("/")[-2]) is None:
            return _refusal(404, "pods not found")
        self.commands.append(raw.query.getall("command"))
        return await run_command(raw, self.volume)

    @staticmethod
    def _key(kind: str, name: str) -> Any:
        return (kmock.resource(PLURALS[kind]), NAMESPACE, name)


def _identity() -> Object:
    return {"uid": str(uuid.uuid4()), "creationTimestamp": datetime.now(UTC).isoformat()}


def _reserved_path(body: Any) -> str | None:
    """A path of a mounted ConfigMap that only the kubelet may make, however deep it lies in the object."""
    if isinstance(body, dict):
        items = (body.get("configMap") or {}).get("items") or ()
        found = (item["path"] for item in items if item["path"].startswith(".."))
        return next(found, None) or next(filter(None, map(_reserved_path, body.values())), None)
    return next(filter(None, map(_reserved_path, body)), None) if isinstance(body, list) else None


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "status": "Failure", "message": message, "code": status}, status=status)


def _selected(response: web.StreamResponse, selector: str) -> web.Response:
    assert isinstance(response, web.Response)
    wanted = dict(part.split("=", 1) for part in selector.split(","))
    items = json.loads(response.text or "{}")["items"]
    return web.json_response({"items": [each for each in items if wanted.items() <= (each["metadata"].get("labels") or {}).items()]})


@contextmanager
def serving(volume: Path) -> Iterator[tuple[KubeServer, str]]:
    """A server in a thread of its own, and its address."""
    server, started, loop = KubeServer(volume), threading.Event(), asyncio.new_event_loop()
    ended, address = asyncio.Event(), ""

    async def serve() -> None:
        nonlocal address
        async with server, kmock.Server(server) as endpoint:
            address = str(endpoint.url).rstrip("/")
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="kube-server")
    thread.start()
    try:
        assert started.wait(10)
        yield server, address
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


def write_kubeconfig(path: Path, address: str, token: str = TOKEN, context: str = CONTEXT) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {"token": token}}],
        "contexts": [{"name": context, "context": {"cluster": "here", "user": "me"}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def wait_for(condition: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
