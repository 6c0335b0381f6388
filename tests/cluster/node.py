"""A node of the practice cluster: it runs a Job's or a RayJob's container as a process, with its log and its end.

Of a RayJob the head's container runs the entry point, as if its Ray were the whole cluster: the step starts a Ray of its own.
"""

from __future__ import annotations

import copy
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from cluster.handles import Handle
from jobs.control.plan import Plan, Request
from tests.cluster.container import Container
from tests.cluster.kube_server import KubeServer

Object = dict[str, Any]
_LOOK = 0.02  # seconds between two looks at a running pod
_GRACE = 10.0  # seconds that a pod has to end by itself; real ones have 30


def with_command(plan: Plan, text: str) -> Plan:
    """The same plan, whose Job runs a shell command instead of the step's module."""
    *parts, main = plan.requests
    body: dict[str, Any] = copy.deepcopy(dict(main.body))
    body["spec"]["template"]["spec"]["containers"][0]["command"] = ["sh", "-c", text]
    return replace(plan, requests=(*parts, Request(main.kind, body)))


class Node:
    """Use as a context manager: at the end nothing of it runs. ``hosts`` and ``more``: see :class:`Container` and :meth:`_start`."""

    def __init__(self, server: KubeServer, hosts: Mapping[str, str] | None = None, more: Mapping[str, str] | None = None) -> None:
        self._server, self._hosts, self._more = server, hosts or {}, more or {}
        self._threads: list[threading.Thread] = []
        self._pods: dict[str, int] = {}  # job -> pods that it had
        self._over = threading.Event()
        self._scratch = tempfile.TemporaryDirectory(prefix="node-")

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._scratch.cleanup()

    def take_all(self) -> None:
        """From now on every Job and RayJob is taken as soon as it is there."""
        self._threads.append(threading.Thread(target=self._take_all, name="node"))
        self._threads[-1].start()

    def _take_all(self) -> None:
        while not self._over.wait(_LOOK):
            for kind in ("Job", "RayJob"):
                for name in self._server.names(kind):
                    self._take(kind, name)

    def take(self, handle: str) -> None:
        """Start a job's pod, once; harmless for one that is suspended, has a pod, or is not there."""
        job = Handle.parse(handle)
        self._take(job.kind, job.name)

    def _take(self, kind: str, name: str) -> None:
        body = self._server.get(kind, name)
        if body is None or body["spec"].get("suspend") or _has_ended(body) or any(pod.startswith(f"{name}-") for pod in self._server.names("Pod")):
            return
        self._pods[name] = self._pods.get(name, -1) + 1
        pod = f"{name}-{self._pods[name]}"
        self._server.add_pod(pod, body)
        self._threads.append(threading.Thread(target=self._run, args=(body, pod), name=pod))
        self._threads[-1].start()

    def _run(self, body: Object, pod: str) -> None:
        """Until its process ends, or its pod is deleted, as suspending and deleting its job do."""
        with self._start(body, pod) as process:
            reader = threading.Thread(target=self._listen, args=(pod, process))
            reader.start()
            while process.poll() is None and self._server.get("Pod", pod) and not self._over.is_set():
                time.sleep(_LOOK)
            killed = process.poll() is None
            if killed:
                _end(process)
            reader.join()
            code = process.wait()
        if not killed:
            self._ended(body, pod, code)

    def _start(self, body: Object, pod: str) -> subprocess.Popen[str]:
        """``more``: variables of pods that may speak to the API server."""
        folder, kind, name = Path(self._scratch.name, pod), body["kind"], body["metadata"]["name"]
        if kind == "Job":
            spec = body["spec"]["template"]["spec"]
            return Container(self._server, pod, spec, folder, self._hosts).start(**(self._more if spec.get("automountServiceAccountToken") else {}))
        self._server.set_status(kind, name, jobDeploymentStatus="Initializing", jobStatus="", rayClusterName=f"{name}-cluster")
        head = body["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
        process = Container(self._server, pod, head, folder, self._hosts).start(body["spec"]["entrypoint"], SEATRIAL_RAY_ADDRESS=None)
        self._server.set_status(kind, name, jobDeploymentStatus="Running", jobStatus="RUNNING")
        return process

    def _listen(self, pod: str, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._server.say(pod, line.rstrip("\n"), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z")

    def _ended(self, body: Object, pod: str, code: int) -> None:
        ended = {"name": "step", "ready": False, "restartCount": 0, "state": {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}}
        self._server.set_status("Pod", pod, phase="Failed" if code else "Succeeded", containerStatuses=[ended])
        kind, name = body["kind"], body["metadata"]["name"]
        if kind == "RayJob":
            self._server.set_status(kind, name, jobDeploymentStatus="Failed" if code else "Complete", jobStatus="FAILED" if code else "SUCCEEDED")
            return
        condition = {"type": "Failed", "reason": "BackoffLimitExceeded"} if code else {"type": "Complete", "reason": "CompletionsReached"}
        self._server.set_status(kind, name, conditions=[{"status": "True", **condition}])


def _has_ended(body: Object) -> bool:
    status = body.get("status") or {}
    held = [each["type"] for each in status.get("conditions") or () if each["status"] == "True"]
    return status.get("jobDeploymentStatus") in ("Complete", "Failed") or any(each in ("Complete", "Failed") for each in held)


def _end(process: subprocess.Popen[str]) -> None:
    """SIGTERM to the container's first process; after the grace period nothing of it is left."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
    for each in children:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
