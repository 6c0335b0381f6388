"""Jobs: accepted, run in a thread each, followed, cancelled. What a type of job does is in :mod:`kinds`.

States, as the service names them: NotStarted, Queued, Preparing, Provisioning, Starting, Running, Finalizing, then Completed,
Failed or Canceled; CancelRequested on the way to the last.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud.practice.azure import seeds
from cloud.practice.azure.addresses import address
from cloud.practice.azure.blobs import Blobs
from cloud.practice.azure.checks import JobChecks
from cloud.practice.azure.documents import Document, Documents, now
from cloud.practice.azure.faults import Fault, conflict, not_found
from cloud.practice.azure.places import ARTIFACT_ROOT, Places
from cloud.practice.azure.tracking import Tracking
from cloud.practice.hosts import Run
from cloud.practice.settings import Practice

log = logging.getLogger(__name__)
FINAL = ("Completed", "Failed", "Canceled")
_MLFLOW = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}
_FIXED = ("jobType", "command", "codeId", "environmentId", "computeId", "inputs", "outputs", "distribution", "resources", "trial", "jobs", "experimentName")
_KEPT = ("tags", "displayName", "description", "isArchived", "properties")  # what may change after a job was submitted


class JobFailed(Exception):
    """``code``: UserError or a service's own; ``message`` is what the client prints."""

    def __init__(self, message: str, code: str = "UserError") -> None:
        super().__init__(message)
        self.code = code


class JobCancelled(Exception):
    """On request, or because its time was over."""


@dataclass
class Live:
    """A job that runs now."""

    name: str
    cancelled: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    run: Run | None = None


@dataclass(frozen=True)
class Kind:
    """What a type of job does."""

    check: Callable[[Jobs, Document], None]
    run: Callable[[Jobs, Live, Document, dict[str, Any] | None], None]


class Jobs:
    def __init__(self, practice: Practice, documents: Documents, blobs: Blobs, tracking: Tracking, root: Path, kind_of: Callable[[Document], Kind]) -> None:
        self.practice, self.documents, self.tracking, self.root = practice, documents, tracking, root
        self.places = Places(blobs, documents)
        self.checks = JobChecks(documents, self.places)
        self._kind_of = kind_of
        self._live: dict[str, Live] = {}
        self._lock = threading.RLock()
        self._closed = False

    def put(self, name: str, properties: Document) -> Document:
        """The answer of ``PUT jobs/{name}``: a new job, or the same one with other tags.

        Errors: Fault for a request that the service would refuse.
        """
        with self._lock:
            old = self.documents.get(address("jobs", name))
            if old is not None:
                return self._again(name, old["properties"], properties)
            self._kind_of(properties).check(self, properties)
            for drill, status, code, message in _REFUSALS:
                if self.practice.injections.take(drill, "azure", name):
                    raise Fault(status, code, message)
            return self.submit(name, properties)

    def _again(self, name: str, old: Document, new: Document) -> Document:
        changed = [key for key in _FIXED if new.get(key) and key in old and key in ("jobType", "command", "codeId", "computeId") and new[key] != old[key]]
        if changed:
            raise conflict(
                f"A job with the name '{name}' exists and its {', '.join(changed)} cannot be changed. Choose another name.", inner="ImmutableProperty"
            )
        body = self.documents.change(address("jobs", name), lambda properties: properties.update({key: new[key] for key in _KEPT if new.get(key) is not None}))
        assert body
        return body

    def submit(self, name: str, properties: Document, parent: str = "", search: dict[str, Any] | None = None) -> Document:
        """Record a job and start its thread; ``parent`` for a child of a sweep or pipeline."""
        kind = properties["jobType"]
        properties = self._complete(name, properties, parent)
        experiment, shown = properties["experimentName"], properties["displayName"]
        body = self.documents.put(address("jobs", name), properties)
        artifacts = self.artifacts(name)
        (artifacts / "user_logs").mkdir(parents=True, exist_ok=True)
        self.tracking.start(name, experiment, shown, artifacts)
        if parent:
            self.tracking.tag(name, {"mlflow.parentRunId": parent})
        self.practice.events.begin("azure", kind.lower(), name, {"properties": properties})
        self.practice.events.note("azure", kind.lower(), name, artefacts={f"azureml://jobs/{name}/outputs/artifacts": artifacts})
        live = Live(name)
        with self._lock:
            self._live[name] = live
        self.state(name, "NotStarted")
        threading.Thread(target=self._run, args=(live, properties, search), name=f"azure job {name}", daemon=True).start()
        return self.documents.get(address("jobs", name)) or body

    def _complete(self, name: str, properties: Document, parent: str) -> Document:
        """What the service adds to a request."""
        url = f"{seeds.blob_url(self.practice, 'azureml')}"
        services = {
            "Tracking": {"jobServiceType": "Tracking", "endpoint": seeds.tracking_url(self.practice)},
            "Studio": {"jobServiceType": "Studio", "endpoint": f"{self.practice.page_url}/?job={name}"},
        }
        outputs = {
            key: {
                **each,
                "uri": each.get("uri") or f"azureml://datastores/workspaceblobstore/paths/azureml/{name}/{key}/",
                "mode": each.get("mode") or "ReadWriteMount",
            }
            for key, each in (properties.get("outputs") or {}).items()
        }
        more = {
            "azureml.rootRunId": parent or name,
            "_azureml.ClusterName": (properties.get("computeId") or "serverless").rsplit("/", 1)[-1],
            "ProcessInfoFile": url,
        }
        return {
            **properties,
            "experimentName": properties.get("experimentName") or "Default",
            "displayName": properties.get("displayName") or name,
            "outputs": outputs,
            "inputs": properties.get("inputs") or {},
            "tags": properties.get("tags") or {},
            "properties": {**(properties.get("properties") or {}), **more},
            "services": services,
            "status": "NotStarted",
            "isArchived": False,
            "parentJobName": parent or None,
        }

    def _run(self, live: Live, properties: Document, search: dict[str, Any] | None) -> None:
        error: dict[str, str] | None = None
        try:
            self._kind_of(properties).run(self, live, properties, search)
            status = "Completed"
        except JobCancelled as cancelled:
            status, error = "Canceled", {"code": "UserError", "message": str(cancelled) or "The job was canceled."}
        except JobFailed as failed:
            status, error = "Failed", {"code": failed.code, "message": str(failed)}
        except Exception as unexpected:  # the edge: the thread's end must be the job's end
            log.exception("job %s", live.name)
            status, error = "Failed", {"code": "ServiceError", "message": f"{type(unexpected).__name__}: {unexpected}"}
        if self._closed:
            status, error = "Failed", STOPPED
        self.end(live.name, status, error)
        with self._lock:
            self._live.pop(live.name, None)
        live.ended.set()

    def end(self, name: str, status: str, error: dict[str, str] | None) -> None:
        if error:
            self.documents.change(address("jobs", name), lambda properties: properties.update(error=error))
        self.tracking.finish(name, _MLFLOW[status])
        self.state(name, status, (error or {}).get("message", ""))

    def state(self, name: str, status: str, message: str = "") -> None:
        """A transition, with its time."""

        def change(properties: Document) -> None:
            if properties.get("status") == "CancelRequested" and status not in FINAL:
                return
            properties["status"] = status
            properties.setdefault("transitions", []).append({"status": status, "time": now()})
            if status == "Running":
                properties.setdefault("startTimeUtc", now())
            if status in FINAL:
                properties["endTimeUtc"] = now()

        body = self.documents.change(address("jobs", name), change)
        if body:
            self.practice.events.state("azure", body["properties"]["jobType"].lower(), name, status, message)

    def cancel(self, name: str) -> None:
        """Ask a job to end; nothing for one that has.

        Errors: Fault 404 for an unknown job.
        """
        body = self.documents.get(address("jobs", name))
        if body is None:
            raise not_found(f"Run {name} was not found")
        with self._lock:
            live = self._live.get(body["name"])
        if live is None or body["properties"]["status"] in FINAL:
            return
        self.state(name, "CancelRequested")
        live.cancelled.set()
        if live.run:
            live.run.stop()
        for child in self.children(name):
            self.cancel(child["name"])

    def wait(self, name: str, timeout: float | None = None) -> Document:
        with self._lock:
            live = self._live.get(name)
        if live:
            live.ended.wait(timeout)
        body = self.documents.get(address("jobs", name))
        assert body
        return body

    def children(self, name: str) -> list[Document]:
        return [body for body in self.documents.list(address("jobs")) if body["properties"].get("parentJobName") == name]

    def artifacts(self, name: str) -> Path:
        return self.root / "blobs" / "azureml" / f"{ARTIFACT_ROOT}{name}"

    def pause(self, live: Live, seconds: float) -> None:
        """Errors: JobCancelled when the job is cancelled meanwhile."""
        if live.cancelled.wait(seconds):
            raise JobCancelled

    def resume(self) -> None:
        """A job that ran when the service ended did not survive it."""
        for body in self.documents.list(address("jobs")):
            if body["properties"]["status"] not in FINAL:
                self.end(body["name"], "Failed", STOPPED)

    def close(self) -> None:
        self._closed = True
        with self._lock:
            running = list(self._live.values())
        for live in running:
            live.cancelled.set()
            if live.run:
                live.run.kill()
        for live in running:
            live.ended.wait(10)


STOPPED = {"code": "ServiceError", "message": "the practice service was stopped"}
_REFUSALS = (
    (
        "access-denied",
        403,
        "AuthorizationFailed",
        "The client 'practice' does not have authorization to perform action 'Microsoft.MachineLearningServices/workspaces/jobs/write'.",
    ),
    (
        "quota",
        409,
        "QuotaExceeded",
        f"The requested number of cores exceeds the quota of the subscription in region '{seeds.LOCATION}'. Ask for more, or use a smaller size.",
    ),
)
