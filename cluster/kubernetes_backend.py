"""The target ``kubernetes``: RayJobs and Jobs in one namespace, driven through the API server alone.

Handles carry the context, so every method but ``plan`` works on any of them; ``plan``, ``check``, ``stage``, ``read`` and ``fetch``
use the settings of the job file. Nothing is asked of a cluster before one of the methods is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from cluster import pod_logs, states, submission
from cluster.evidence import MANAGED_BY, own_pods, texts
from cluster.handles import KINDS, Handle
from cluster.kube_client import CURRENT, Api, connect, current_context
from cluster.mounted_store import MountedStore, VolumeStore, is_mounted_here
from cluster.preflight import findings
from cluster.rendering import labels
from cluster.staging import Staging
from cluster.step_plan import plan_step
from cluster.volume import is_on_volume
from jobs.contracts import storage
from jobs.contracts.job import Job
from jobs.contracts.states import JobState
from jobs.control import staging
from jobs.control.backend import Cause
from jobs.control.handles import Handles
from jobs.control.home import Home
from jobs.control.plan import Plan, Source
from jobs.control.spec import KubernetesTarget, Step, Targets

LOG = "log.txt"


def create(home: Home, targets: Targets) -> KubernetesBackend:
    return KubernetesBackend(home, targets.kubernetes)


class KubernetesBackend:
    """``plan`` names the context that is current when the backend is opened, so that a handle means the same cluster for ever."""

    poll = 2.0
    retries = True  # KubeRay and the Job controller start a killed job again

    def __init__(self, home: Home, settings: KubernetesTarget) -> None:
        self._home, self._settings = home, settings
        self._apis: dict[tuple[str, str], Api] = {}

    @cached_property
    def _context(self) -> str:
        return self._settings.context or current_context()

    def _api(self, context: str = "", namespace: str = "") -> Api:
        key = (context if context not in ("", CURRENT) else self._context, namespace or self._settings.namespace)
        if key not in self._apis:
            self._apis[key] = connect(*key)
        return self._apis[key]

    def _open(self, handle: str) -> tuple[Api, Handle]:
        parsed = Handle.parse(handle)
        return self._api(parsed.context, parsed.namespace), parsed

    def plan(self, step: Step, job: Job, inputs: Mapping[str, Source], code: Source, context: Mapping[str, str], attempt: int = 1) -> Plan:
        return plan_step(self._settings, self._context, step, job, inputs, code, context, attempt)

    def check(self, plan: Plan) -> list[Cause]:
        return findings(self._open(plan.handle)[0], plan, self._settings.images)

    def stage(self, plan: Plan) -> None:
        for upload in plan.uploads:
            if is_on_volume(upload.target):
                self._volume.bring(upload)
            else:
                staging.bring(upload)

    def submit(self, plan: Plan) -> str:
        """A job that was stopped runs again; one that has ended stays as it is, and a later attempt has another name."""
        api, handle = self._open(plan.handle)
        submission.send(api, [dict(request.body) for request in plan.requests])
        return str(Handle(api.context, api.namespace, handle.kind, handle.name))

    def status(self, handle: str) -> JobState:
        api, job = self._open(handle)
        body = api.get(job.kind, job.name)
        state = states.state_of(body)
        return state if body is None or state.is_final else states.state_of(body, own_pods(api, body))

    def stop(self, handle: str) -> None:
        api, job = self._open(handle)
        body = api.get(job.kind, job.name)
        if body is not None and not states.was_stopped(body) and not states.state_of(body).is_final:
            submission.stop(api, body)

    def logs(self, handle: str, *, follow: bool = False) -> Iterator[str]:
        """A job that has ended leaves its log in this machine's home, where it is found when the cluster has forgotten it."""
        api, job = self._open(handle)
        seen: list[str] = []
        for line in pod_logs.lines(api, job.kind, job.name, follow=follow, poll=self.poll):
            seen.append(line)
            yield line
        body = api.get(job.kind, job.name)
        if body is None and not seen:
            yield from self._kept(handle)
        elif body is not None and states.state_of(body).is_final:
            self._keep(body, "".join(seen))

    def _keep(self, body: Mapping[str, object], text: str) -> None:
        marks = body["metadata"].get("labels") or {}  # type: ignore[attr-defined]
        if text and labels.RUN in marks and labels.STEP in marks:
            storage.write_bytes(str(self._home.runs / marks[labels.RUN] / marks[labels.STEP] / LOG), text.encode())

    def _kept(self, handle: str) -> Iterator[str]:
        record = Handles(self._home).find(handle)
        path = self._home.runs / record.run / record.step / LOG if record else None
        if path and path.exists():
            with path.open(errors="replace") as stream:
                yield from stream

    def explain(self, handle: str) -> list[Cause]:
        from jobs.control.causes import match

        api, job = self._open(handle)
        body = api.get(job.kind, job.name)
        return match(texts(api, body, own_pods(api, body))) if body else []

    @cached_property
    def _volume(self) -> VolumeStore:
        return MountedStore(self._settings.store) if is_mounted_here(self._context) else Staging(self._api(), self._settings, self._home.root / "cache")

    def read(self, uri: str) -> bytes:
        return self._volume.read(uri) if is_on_volume(uri) else storage.read_bytes(uri)

    def exists(self, uri: str) -> bool:
        return self._volume.exists(uri) if is_on_volume(uri) else storage.exists(uri)

    def fetch(self, uri: str) -> str:
        return self._volume.fetch(uri) if is_on_volume(uri) else uri

    def handles(self) -> Iterator[str]:
        api = self._api()
        for kind in KINDS:
            for body in api.list(kind, f"{MANAGED_BY}=seatrial"):
                yield str(Handle(api.context, api.namespace, kind, body["metadata"]["name"]))
