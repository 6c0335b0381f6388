"""Waiting for a cluster: the API tells each change as it happens, and what sticks is explained at once.

Nothing here sleeps: the wait ends with the change that ends it, or at its limit.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from cluster.bringup.kubectl import Events, Kubectl, Object
from cluster.bringup.runner import Done, Say, Stream, Told
from cluster.bringup.sticking import causes
from jobs.contracts.errors import RunError
from jobs.control.backend import Cause

_REOPEN = 1.0  # seconds until a watch that ended is opened again: API servers end them now and then, and restart while young
_BROKEN = 10  # watches in a row that end without having told anything
_ALSO = ("pods", "events")  # always watched: they say why

# "" = ready; else what is missing, in words.
Condition = Callable[["World"], str]


class World:
    """What the watches have told so far."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], Object] = {}

    def take(self, kind: str, change: str, body: Object) -> None:
        key = (kind, str(body.get("metadata", {}).get("name", "")))
        if change == "DELETED":
            self._objects.pop(key, None)
        elif change in ("ADDED", "MODIFIED"):
            self._objects[key] = body

    def get(self, kind: str, name: str) -> Object | None:
        return self._objects.get((kind, name))

    def all(self, kind: str) -> list[Object]:
        return [body for (each, _), body in self._objects.items() if each == kind]

    def causes(self, kinds: Mapping[str, Condition]) -> list[Cause]:
        others = [body for kind in kinds if kind not in _ALSO for body in self.all(kind)]
        return causes(self.all("pods"), self.all("events"), others)


def wait(kubectl: Kubectl, conditions: Mapping[str, Condition], limit: float, say: Say, hint: str = "") -> World:
    """Until every condition holds. A condition's key is the kind that is watched for it.

    Errors: RunError with the doctor's words after ``limit`` seconds, or when the cluster does not let itself be watched.
    """
    with ExitStack() as stack:
        return _Wait(kubectl, conditions, stack).run(limit, say, hint)


class _Wait:
    def __init__(self, kubectl: Kubectl, conditions: Mapping[str, Condition], stack: ExitStack) -> None:
        self._kubectl, self._conditions, self._stack = kubectl, conditions, stack
        self._told: queue.Queue[Told] = queue.Queue()
        self._world, self._said = World(), ""
        self._parsers: dict[str, Events] = {}
        self._silent: dict[str, int] = {}  # watches in a row that told nothing
        self._reopen: dict[str, float] = {}  # kind -> when
        for kind in dict.fromkeys([*conditions, *_ALSO]):
            self._open(kind)

    def _open(self, kind: str) -> None:
        self._parsers[kind] = Events()
        stream: Stream = self._kubectl.watch(kind, self._told)
        self._stack.callback(stream.close)

    def run(self, limit: float, say: Say, hint: str) -> World:
        deadline = time.monotonic() + limit
        while True:
            missing = next(filter(None, (holds(self._world) for holds in self._conditions.values())), "")
            if not missing:
                return self._world
            if time.monotonic() > deadline:
                raise self._too_late(missing, limit, hint)
            self._say(say, missing)
            self._listen(deadline)

    def _say(self, say: Say, missing: str) -> None:
        stuck = self._world.causes(self._conditions)
        text = f"{missing}; {stuck[0].name}: {stuck[0].what}" if stuck else missing
        if text != self._said:
            self._said = text
            say(text)

    def _listen(self, deadline: float) -> None:
        """Take what is told next, and whatever is there already."""
        until = min([deadline, *self._reopen.values()])
        try:
            self._take(self._told.get(timeout=max(0.0, until - time.monotonic()) + 0.001))
            while not self._told.empty():
                self._take(self._told.get_nowait())
        except queue.Empty:
            pass
        for kind in [kind for kind, moment in self._reopen.items() if moment <= time.monotonic()]:
            del self._reopen[kind]
            self._open(kind)

    def _take(self, told: Told) -> None:
        if told.end is not None:
            self._ended(told.name, told.end)
            return
        for change, body in self._parsers[told.name].feed(told.piece):
            self._silent[told.name] = 0
            self._world.take(told.name, change, body)

    def _ended(self, kind: str, end: Done) -> None:
        self._silent[kind] = self._silent.get(kind, 0) + 1
        if not end.ok and self._silent[kind] >= _BROKEN:
            raise end.error("the API server does not answer, or does not let you watch this: kubectl auth can-i --list")
        self._reopen[kind] = time.monotonic() + _REOPEN

    def _too_late(self, missing: str, limit: float, hint: str) -> RunError:
        stuck = self._world.causes(self._conditions)
        said = "".join(f"\n  {cause.name}: {cause.what}" + (f"\n    it said: {cause.evidence}" if cause.evidence else "") for cause in stuck)
        next_step = stuck[0].hint if stuck else hint or f"kubectl --context {self._kubectl.context} --namespace {self._kubectl.namespace} get pods,events"
        return RunError(f"not ready after {limit:.0f} s: {missing}{said}", where=self._kubectl.context, hint=f"{next_step}; then run the same command again")


def deployment(name: str) -> Condition:
    def holds(world: World) -> str:
        body = world.get("deployments", name)
        if body is None:
            return f"the Deployment {name} is not there yet"
        status, wanted = body.get("status") or {}, int(body["spec"].get("replicas", 1))
        current = int(status.get("observedGeneration", 0)) >= int(body["metadata"].get("generation", 0))
        ready = min(int(status.get("updatedReplicas", 0)), int(status.get("availableReplicas", 0)))
        return "" if current and ready >= wanted else f"{name}: {ready} of {wanted} pods ready"

    return holds


def ray_service(name: str) -> Condition:
    """Ready = somebody answers behind its Service; a champion is not needed for that."""

    def holds(world: World) -> str:
        body = world.get("rayservices", name)
        if body is None:
            return f"the RayService {name} is not there yet"
        return ray_service_missing(body)

    return holds


def ray_service_missing(body: Object) -> str:
    """https://github.com/ray-project/kuberay/blob/v1.7.0/ray-operator/apis/ray/v1/rayservice_types.go"""
    status = body.get("status") or {}
    ready: Object = next((each for each in status.get("conditions") or () if each.get("type") == "Ready"), {})
    current = int(status.get("observedGeneration", 0)) >= int(body["metadata"].get("generation", 0))
    if ready.get("status") == "True" and current:
        return ""
    active = status.get("activeServiceStatus") or status.get("pendingServiceStatus") or {}
    apps = {name: app.get("status", "") for name, app in (active.get("applicationStatuses") or {}).items()}
    words = [f"application {app.lower()}" for app in apps.values() if app and app != "RUNNING"]
    return f"{body['metadata']['name']}: {', '.join(words) or 'nobody answers yet'}"
