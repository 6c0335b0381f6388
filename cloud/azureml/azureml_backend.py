"""The target ``azureml``: command jobs and online endpoints of one workspace, through azure-ai-ml. The store is a blob datastore.

Handles carry the workspace, so every method but ``plan`` works on any of them. Nothing is asked of Azure before one is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloud.azureml import logs, states, submission
from cloud.azureml.blob_store import BlobStore
from cloud.azureml.client import Azure
from cloud.azureml.command_job import TAG
from cloud.azureml.handles import Handle
from cloud.azureml.places import place_of
from cloud.azureml.registry import AzureMLRegistry
from cloud.azureml.step_plan import plan_step
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Job
from jobs.contracts.states import JobState
from jobs.control.backend import Cause
from jobs.control.home import Home
from jobs.control.plan import Plan, Source
from jobs.control.spec import AzureMLTarget, Step

_LISTED = 100  # newest jobs that `handles` looks at
_TOLD = 50  # last lines of a log in which a cause is looked for


class AzureMLBackend:
    retries = False

    def __init__(self, home: Home, settings: AzureMLTarget) -> None:
        self._home, self._place = home, place_of(settings)
        self._clients: dict[tuple[str, str, str], Azure] = {}
        self.poll = 0.5 if self._place.is_practice else 10.0  # seconds; a look is two or three requests

    def real_place(self) -> str:
        """Whose workspace everything goes to; empty for practice."""
        return "" if self._place.is_practice else str(self._place)

    def registry(self) -> AzureMLRegistry:
        return AzureMLRegistry(self._place, self._azure())

    def _azure(self, handle: Handle | None = None) -> Azure:
        whose = handle or self._place
        key = (whose.subscription, whose.group, whose.workspace)
        return self._clients.setdefault(key, Azure(*key))

    def _open(self, handle: str) -> tuple[Azure, Handle]:
        parsed = Handle.parse(handle)
        return self._azure(parsed), parsed

    def _store(self, azure: Azure | None = None) -> BlobStore:
        return BlobStore(azure or self._azure(), self._home.root / "cache")

    def plan(self, step: Step, job: Job, inputs: Mapping[str, Source], code: Source, context: Mapping[str, str], attempt: int = 1) -> Plan:
        return plan_step(self._place, step, job, inputs, code, context, attempt)

    def check(self, plan: Plan) -> list[Cause]:
        found = [Cause("invalid-request", each, "correct it in the job file; nothing was sent") for each in submission.violations(plan)]
        azure, handle = self._open(plan.handle)
        if azure.find("workspace", lambda client: client.workspaces.get(handle.workspace)) is None:
            what = f"there is no workspace {handle.workspace} in the resource group {handle.group} that the caller can see"
            found.append(Cause("no-workspace", what, "correct targets.azureml, or make it: az ml workspace create (docs/guides/azure-ml.md)"))
        return found

    def stage(self, plan: Plan) -> None:
        store = self._store(self._open(plan.handle)[0])
        for upload in plan.uploads:
            store.bring(upload)

    def submit(self, plan: Plan) -> str:
        azure, _ = self._open(plan.handle)
        submission.send(azure, self._store(azure), plan)
        return plan.handle

    def conclude(self, plan: Plan) -> None:
        """Of a deployment that is up: compare its answers with the offline scores, then give it the traffic and remove what has none."""
        azure, handle = self._open(plan.handle)
        if handle.deployment:
            from cloud.azureml.trial import try_out

            try_out(azure, self._store(azure), plan)
            submission.move_traffic(azure, plan)
            submission.remove_idle(azure, plan)

    def status(self, handle: str) -> JobState:
        azure, job = self._open(handle)
        if job.deployment:
            deployment = submission.find_deployment(azure, job.name, job.deployment)
            return states.of_deployment(deployment.provisioning_state) if deployment else JobState.UNKNOWN
        found = submission.find_job(azure, job.name)
        return states.of_job(found.status) if found else JobState.UNKNOWN

    def stop(self, handle: str) -> None:
        """Of a deployment that has all requests the endpoint is deleted, for it costs as long as it exists; of one that has none only itself.

        Errors: RequestError for one that has some.
        """
        azure, job = self._open(handle)
        if job.deployment:
            self._stop_deployment(azure, job)
        elif not (state := self.status(handle)).is_final and state not in (JobState.UNKNOWN, JobState.STOPPING):
            azure.find(f"job {job.name}", lambda client: client.jobs.begin_cancel(job.name))

    def _stop_deployment(self, azure: Azure, job: Handle) -> None:
        """Azure deletes nothing that is still being created."""
        endpoint = azure.find(f"endpoint {job.name}", lambda client: client.online_endpoints.get(job.name))
        deployment = submission.find_deployment(azure, job.name, job.deployment) if endpoint else None
        if endpoint is None or deployment is None or not states.of_deployment(deployment.provisioning_state).is_final:
            return
        answering = {name for name, share in (endpoint.traffic or {}).items() if share}
        if answering == {job.deployment}:
            azure.find(f"endpoint {job.name}", lambda client: client.online_endpoints.begin_delete(job.name))
        elif job.deployment not in answering:
            azure.find(f"deployment {job.deployment}", lambda client: client.online_deployments.begin_delete(job.deployment, job.name))
        else:
            hint = "give its share to the other deployments first: az ml online-endpoint update --traffic"
            raise RequestError("it answers a part of the endpoint's requests", where=f"{azure.where}/{job.name}/{job.deployment}", hint=hint)

    def logs(self, handle: str, *, follow: bool = False) -> Iterator[str]:
        azure, job = self._open(handle)
        if job.deployment:
            return self._deployment_log(azure, job)
        tail = logs.Tail(azure, job.name)
        if not follow:
            return tail.lines(whole=True)

        def has_ended() -> bool:
            state = self.status(handle)
            return state.is_final or state == JobState.UNKNOWN

        return logs.follow(tail, has_ended, poll=self.poll)

    def _deployment_log(self, azure: Azure, job: Handle) -> Iterator[str]:
        what = f"log of {job.name}/{job.deployment}"
        text = azure.find(what, lambda client: client.online_deployments.get_logs(job.deployment, job.name, lines=1000))
        yield from (text or "").splitlines(keepends=True)

    def handles(self) -> Iterator[str]:
        """Among the newest jobs, those with Seatrial's tags."""
        azure = self._azure()
        for job in azure.ask("jobs", lambda client: list(client.jobs.list(max_results=_LISTED))):
            if TAG + "run" in (job.tags or {}):
                yield str(Handle(azure.subscription, azure.group, azure.workspace, job.name))

    def explain(self, handle: str) -> list[Cause]:
        from cloud.causes import causes_of

        azure, job = self._open(handle)
        if self.status(handle) == JobState.UNKNOWN:
            return [Cause("unknown-job", "Azure ML does not know this job", "`seatrial jobs --refresh` asks about those that were submitted from here")]
        return causes_of(self._reasons(azure, job), list(self.logs(handle))[-_TOLD:])

    def _reasons(self, azure: Azure, job: Handle) -> list[str]:
        if job.deployment:
            return []
        details = azure.find(f"job {job.name}", lambda client: client.jobs._runs_operations.get_run_details(job.name))
        error = getattr(getattr(details, "error", None), "error", None)
        return [error.message] if error is not None and error.message else []

    def read(self, uri: str) -> bytes:
        return self._store().read(uri)

    def exists(self, uri: str) -> bool:
        return self._store().exists(uri)

    def fetch(self, uri: str) -> str:
        return self._store().fetch(uri)
