"""A node of the practice cluster: it runs a ``batch/v1`` Job's container as a process, with its log and its end."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cluster.handles import Handle
from jobs.control.plan import Plan, Request
from tests.cluster.kube_server import KubeServer

_LOOK = 0.02  # seconds between two looks at a running pod


def with_command(plan: Plan, text: str) -> Plan:
    """The same plan, whose Job runs a shell command instead of the step's module."""
    *parts, main = plan.requests
    body: dict[str, Any] = copy.deepcopy(dict(main.body))
    body["spec"]["template"]["spec"]["containers"][0]["command"] = ["sh", "-c", text]
    return replace(plan, requests=(*parts, Request(main.kind, body)))


class Node:
    """Use as a context manager: at the end nothing of it runs."""

    def __init__(self, server: KubeServer) -> None:
        self._server = server
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def take(self, handle: str) -> None:
        """Start a Job's pod, once; harmless for one that is suspended, has a pod, or is not there."""
        name = Handle.parse(handle).name
        body = self._server.get("Job", name)
        if body is None or body["spec"].get("suspend") or (body.get("status") or {}).get("conditions") or self._server.get("Pod", f"{name}-0"):
            return
        self._server.add_pod(f"{name}-0", body)
        self._threads.append(threading.Thread(target=self._run, args=(name, body), name=name))
        self._threads[-1].start()

    def _run(self, name: str, body: dict[str, Any]) -> None:
        pod, command = f"{name}-0", body["spec"]["template"]["spec"]["containers"][0]["command"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True) as process:
            reader = threading.Thread(target=self._listen, args=(pod, process))
            reader.start()
            while process.poll() is None and self._server.get("Pod", pod) and not self._over.is_set():
                time.sleep(_LOOK)
            killed = process.poll() is None
            if killed:
                os.killpg(process.pid, signal.SIGKILL)  # the shell and what it started
            reader.join()
            code = process.wait()
        if not killed:
            self._end(name, pod, code)

    def _listen(self, pod: str, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._server.say(pod, line.rstrip("\n"), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z")

    def _end(self, name: str, pod: str, code: int) -> None:
        ended = {"name": "step", "ready": False, "restartCount": 0, "state": {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}}
        self._server.set_status("Pod", pod, phase="Failed" if code else "Succeeded", containerStatuses=[ended])
        condition = {"type": "Failed", "reason": "BackoffLimitExceeded"} if code else {"type": "Complete", "reason": "CompletionsReached"}
        self._server.set_status("Job", name, conditions=[{"status": "True", **condition}])
