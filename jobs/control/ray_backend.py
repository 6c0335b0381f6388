"""A running Ray cluster: every step is a job of its Jobs API, with its folder in a store that both sides reach.

The code travels as Ray's own package, uploaded once by its content; inputs are brought to the store. Without
``targets.ray.store`` the cluster is taken to be on this machine, and the store is this machine's own.
"""

from __future__ import annotations

import io
import json
import shlex
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobs.contracts import fingerprint, storage
from jobs.contracts.errors import RequestError
from jobs.contracts.job import ERROR, Job
from jobs.contracts.states import JobState
from jobs.control import staging
from jobs.control.backend import MODULES, Cause
from jobs.control.home import Home
from jobs.control.plan import Plan, Request, Source, Upload
from jobs.control.ray_client import RayClient
from jobs.control.spec import Kind, RayTarget, Step, Targets, memory_bytes
from jobs.control.staging import place_of_output
from jobs.control.variables import SAIL, engine_of, place_variables

SCHEME = "ray+"
WRITE, SUBMIT = "write", "POST /api/jobs/"
_PACKAGES = "gcs://"
_STATES = {
    "PENDING": JobState.QUEUED,
    "RUNNING": JobState.RUNNING,
    "SUCCEEDED": JobState.SUCCEEDED,
    "FAILED": JobState.FAILED,
    "STOPPED": JobState.STOPPED,
}
_STAMP = (1980, 1, 1, 0, 0, 0)  # in every entry of a package, so that equal content makes equal bytes


def create(home: Home, targets: Targets) -> RayBackend:
    return RayBackend(home, targets.ray)


class RayBackend:
    poll = 0.5
    retries = False

    def __init__(self, home: Home, target: RayTarget) -> None:
        self._home, self._target = home, target
        self._store = target.store or str(home.root)

    def plan(self, step: Step, job: Job, inputs: Mapping[str, Source], code: Source, context: Mapping[str, str], attempt: int = 1) -> Plan:
        folder = storage.join(self._store, "runs", job.run, job.step)
        outputs = {name: place_of_output(self._store, folder, job, name, kind) for name, kind in step.outputs.items()}
        places, uploads = self._places(inputs)
        package = f"_ray_pkg_{code.fingerprint[:32]}.zip"
        variables = place_variables(places, outputs, folder=folder, code=".", engine=engine_of(step, SAIL))
        environment = {**step.env, **context, **variables, **self._ray_variables(step), **{name: f"${{{secret}}}" for name, secret in step.secrets.items()}}
        submission = f"{job.run}-{job.step}" + (f"-{attempt}" if attempt > 1 else "")
        body = {
            "entrypoint": self._entrypoint(step, job, folder),
            "submission_id": submission,
            "runtime_env": {"working_dir": _PACKAGES + package, "env_vars": dict(sorted(environment.items()))},
            "metadata": {"seatrial.run": job.run, "seatrial.step": job.step, "seatrial.fingerprint": job.fingerprint},
            **_resources(step),
        }
        job_file = {"uri": storage.join(folder, "job.json"), "json": job.model_dump(mode="json")}
        return Plan(
            target="ray",
            run=job.run,
            step=job.step,
            handle=f"{SCHEME}{self._target.address}/{submission}",
            folder=folder,
            requests=(Request(WRITE, job_file), Request(SUBMIT, body)),
            outputs=outputs,
            uploads=(Upload(code.uri, _PACKAGES + package, code.fingerprint, code.bytes, code.files), *uploads),
            losses=tuple(_losses(step)),
        )

    def _places(self, inputs: Mapping[str, Source]) -> tuple[dict[str, str], list[Upload]]:
        places: dict[str, str] = {}
        uploads: list[Upload] = []
        for name, source in inputs.items():
            if self._target.store:
                places[name], needed = staging.place(source, self._store)
                uploads += needed
            else:
                places[name] = source.uri  # the same machine reads it where it is
        return places, uploads

    def _entrypoint(self, step: Step, job: Job, folder: str) -> str:
        run = shlex.join(["python", "-m", MODULES[step.kind], "--job", storage.join(folder, "job.json")])
        if step.kind != Kind.DEPLOY:
            return run
        serve = ["python", "-m", "serve.ray_app", "up", "--if-absent", "--model", job.pipeline, "--tracking-uri", self._home.tracking_uri]
        serve += ["--port", str(self._target.port), "--ray-address", "auto"]
        return f"{shlex.join(serve)} && {run}"

    def _ray_variables(self, step: Step) -> dict[str, str]:
        if step.kind == Kind.DEPLOY:
            return {"SEATRIAL_SERVE_URL": f"http://127.0.0.1:{self._target.port}"}  # as the head sees it, where the step runs
        if step.kind == Kind.PIPELINE:
            return {"RAY_JOB_STOP_WAIT_TIME_S": "60"}  # Ray's 3 s are too few for a driver to stop its steps
        return {"SEATRIAL_RAY_ADDRESS": "auto"} if step.on_ray else {}

    def check(self, plan: Plan) -> list[Cause]:
        from jobs.contracts.versions import installed
        from jobs.control.skew import compare

        here = {"ray": version} if (version := installed().get("ray")) else {}
        return compare(here, self._client(plan.handle)[0].versions(), there_name="the Ray cluster")

    def stage(self, plan: Plan) -> None:
        client, _ = self._client(plan.handle)
        for upload in plan.uploads:
            if not upload.target.startswith(_PACKAGES):
                staging.bring(upload)
            elif not client.has_package(name := upload.target.removeprefix(_PACKAGES)):
                client.put_package(name, package(Path(upload.source)))

    def submit(self, plan: Plan) -> str:
        client, submission = self._client(plan.handle)
        if client.job(submission) is not None:
            return plan.handle  # create-if-absent: repeating a submit is harmless
        _remove(storage.join(plan.folder, ERROR))  # of an earlier attempt
        for request in plan.requests:
            if request.kind == WRITE:
                storage.write_bytes(request.body["uri"], json.dumps(request.body["json"], indent=1).encode())
            else:
                client.submit(dict(request.body))
        return plan.handle

    def status(self, handle: str) -> JobState:
        client, submission = self._client(handle)
        job = client.job(submission)
        return _STATES.get(job["status"], JobState.UNKNOWN) if job else JobState.UNKNOWN

    def stop(self, handle: str) -> None:
        client, submission = self._client(handle)
        if self.status(handle) in (JobState.QUEUED, JobState.RUNNING):
            client.stop(submission)

    def logs(self, handle: str, *, follow: bool = False) -> Iterator[str]:
        client, submission = self._client(handle)
        shown = 0
        while True:
            ended = not follow or self.status(handle) not in (JobState.QUEUED, JobState.RUNNING)
            lines = client.logs(submission).splitlines(keepends=True) if client.job(submission) else []
            whole = lines if ended or (lines and lines[-1].endswith("\n")) else lines[:-1]
            yield from whole[shown:]
            shown = len(whole)
            if ended:
                return
            time.sleep(self.poll)

    def handles(self) -> Iterator[str]:
        for job in RayClient(self._target.address).jobs():
            if job.get("submission_id") and "seatrial.run" in (job.get("metadata") or {}):
                yield f"{SCHEME}{self._target.address}/{job['submission_id']}"

    def explain(self, handle: str) -> list[Cause]:
        from jobs.control.causes import match

        client, submission = self._client(handle)
        job: dict[str, Any] = client.job(submission) or {"message": "the cluster does not know this job"}
        texts = [str(job.get("message") or ""), str(job.get("error_type") or "")]
        return match([text for text in texts if text] + list(self.logs(handle))[-50:])

    def read(self, uri: str) -> bytes:
        return storage.read_bytes(uri)

    def exists(self, uri: str) -> bool:
        return storage.exists(uri)

    def fetch(self, uri: str) -> str:
        return staging.local_copy(uri, self._home.root / "cache")

    def _client(self, handle: str) -> tuple[RayClient, str]:
        """The cluster and the submission id that a handle names, whatever this backend was set to."""
        parts = urlsplit(handle.removeprefix(SCHEME))
        submission = parts.path.strip("/")
        if not handle.startswith(SCHEME) or not parts.netloc or not submission:
            raise RequestError(f"not a handle of the ray target: {handle!r}", hint="handles look like ray+http://<host:port>/<submission id>")
        return RayClient(f"{parts.scheme}://{parts.netloc}"), submission


def package(folder: Path) -> bytes:
    """A job's code as the zip that Ray unpacks into each worker's working directory: the same bytes for the same content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in fingerprint.code_files(folder):
            archive.writestr(zipfile.ZipInfo(path.relative_to(folder).as_posix(), _STAMP), path.read_bytes())
    return buffer.getvalue()


def _resources(step: Step) -> dict[str, Any]:
    """What Ray reserves for the step's own process. Training workers reserve theirs themselves."""
    resources = step.resources
    if step.kind == Kind.DEPLOY or step.on_ray:
        return {}
    workers = max(1, resources.max_workers) if step.kind == Kind.ETL else 1
    return {"entrypoint_num_cpus": resources.cpu * workers, "entrypoint_memory": memory_bytes(resources.memory) * workers}


def _remove(uri: str) -> None:
    if storage.exists(uri):
        files, path = storage.filesystem(uri)
        files.delete_file(path)


def _losses(step: Step) -> Iterator[str]:
    if step.spot:
        yield "spot: a Ray job cannot ask for interruptible nodes; the cluster decides"
    if step.resources.accelerator and not step.trains:
        yield "accelerator: only training workers ask Ray for a type of GPU"
    if expanded := [name for name, value in step.env.items() if "${" in value]:
        yield f"env: Ray replaces ${{…}} in {', '.join(expanded)} by the variable of the node"
    if step.secrets:
        yield "secrets: read from environment variables of the cluster's nodes; Ray has no secret store"
    if step.kind == Kind.ETL and engine_of(step, SAIL) != SAIL:
        yield "engine spark: runs on the one node of the step's own process, which needs Java"
