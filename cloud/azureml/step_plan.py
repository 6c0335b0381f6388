"""One step as a plan for Azure ML. Pure: no SDK, no clock, no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloud.azureml import command_job, online_endpoint
from cloud.azureml.command_job import Work
from cloud.azureml.handles import Handle
from cloud.azureml.places import Place
from cloud.deployed_bundle import bundle_of
from cloud.losses import shared
from cloud.names import job_name
from jobs.contracts import storage
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Job
from jobs.control.plan import Plan, Request, Source
from jobs.control.spec import Kind, Step
from jobs.control.staging import place as place_source
from jobs.control.staging import place_of_output

WRITE, COMMAND = "write", "command job"


def plan_step(place: Place, step: Step, job: Job, inputs: Mapping[str, Source], code: Source, context: Mapping[str, str], attempt: int) -> Plan:
    """Errors: RequestError for what Azure ML can neither express nor do without."""
    if step.kind == Kind.PIPELINE:
        hint = "leave --detach out: the driver runs here, and what it submitted goes on when it ends; `seatrial run --resume` takes it up again"
        raise RequestError("a run cannot be driven from within Azure ML", where=job.run, hint=hint)
    _refuse_other_stores(inputs, job)
    folder = storage.join(place.store, "runs", job.run, job.step)
    outputs = {name: place_of_output(place.store, folder, job, name, kind) for name, kind in step.outputs.items()}
    placed = {name: place_source(source, place.store) for name, source in inputs.items()}
    code_uri, code_uploads = place_source(code, place.store, "code")
    where = {key: uri for key, (uri, _) in placed.items()}
    handle = Handle(place.subscription, place.group, place.workspace, job_name(job, attempt))
    if step.kind == Kind.DEPLOY:
        requests, code_uploads = online_endpoint.requests(place, job, inputs, context), ()
        told: dict[str, object] = {"inputs": where, "bundle": bundle_of(job, where, context)}
        handle = Handle(place.subscription, place.group, place.workspace, str(requests[0].body["name"]), str(requests[1].body["name"]))
    else:
        requests = [Request(COMMAND, command_job.document(place, Work(step, job, handle.name, folder, where, outputs, code_uri, context)))]
        told = {}
    job_file = Request(WRITE, {"uri": storage.join(folder, "job.json"), "json": job.model_dump(mode="json"), **told})
    return Plan(
        target="azureml",
        run=job.run,
        step=job.step,
        handle=str(handle),
        folder=folder,
        requests=(job_file, *requests),
        outputs=outputs,
        uploads=(*code_uploads, *(upload for _, needed in placed.values() for upload in needed)),
        losses=tuple(losses(place, step)),
    )


def _refuse_other_stores(inputs: Mapping[str, Source], job: Job) -> None:
    """Azure mounts its own kinds of places alone."""
    for name, source in inputs.items():
        scheme = source.uri.partition("://")[0]
        if scheme in ("s3", "pvc", "gs"):
            hint = "copy it to a blob datastore of the workspace, or give a location that Azure ML can mount (azureml://, wasbs://, abfss://)"
            raise RequestError(f"the input {name!r} lies in {scheme}://, which Azure ML cannot mount", where=f"{job.step}: {source.uri}", hint=hint)


def losses(place: Place, step: Step) -> Iterator[str]:
    """What the job file asks and Azure ML cannot express."""
    resources = step.resources
    if step.trains:
        if not isinstance(resources.workers, int):
            yield f"workers: a job has a fixed number of nodes, so all {resources.workers.max} are asked for"
        if step.kind == Kind.TUNE:
            yield "tune: the trials share the nodes of one command job, and Ray Tune leads them; the studio's sweep jobs do not show them"
    elif step.kind == Kind.ETL and resources.max_workers > 1:
        yield f"workers: Spark runs in a command job on one node, with the cores and memory of all {resources.max_workers} workers (managed Spark lags behind)"
    elif resources.max_workers > 1:
        yield f"workers: a step of kind {step.kind} runs on one node"
    compute = (place.settings.gpu_compute or place.settings.compute) if resources.gpu else place.settings.compute
    if step.spot and (compute or step.kind == Kind.DEPLOY):
        yield f"spot: {'an endpoint has none' if step.kind == Kind.DEPLOY else f'whether nodes are interruptible is set on the compute cluster {compute}'}"
    yield from shared(step, "Azure")
