"""One step as a plan for SageMaker. Pure: no boto3, no clock, no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cloud.losses import shared
from cloud.names import job_name
from cloud.sagemaker import endpoint, processing, training
from cloud.sagemaker.handles import ENDPOINT, PROCESSING, TRAINING, Handle
from cloud.sagemaker.parts import Work
from cloud.sagemaker.places import Place
from jobs.contracts import storage
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Job
from jobs.control.plan import Plan, Request, Source
from jobs.control.spec import Kind, Step
from jobs.control.staging import place as place_source
from jobs.control.staging import place_of_output

WRITE = "write"  # a small file that submit puts into the store


def plan_step(place: Place, step: Step, job: Job, inputs: Mapping[str, Source], code: Source, context: Mapping[str, str], attempt: int) -> Plan:
    """Errors: RequestError for what SageMaker can neither express nor do without."""
    if step.kind == Kind.PIPELINE:
        hint = "leave --detach out: the driver runs here, and what it submitted goes on when it ends; `seatrial run --resume` takes it up again"
        raise RequestError("a run cannot be driven from within SageMaker", where=job.run, hint=hint)
    folder = storage.join(place.store, "runs", job.run, job.step)
    outputs = {name: place_of_output(place.store, folder, job, name, kind) for name, kind in step.outputs.items()}
    placed = {name: place_source(source, place.store) for name, source in inputs.items()}
    uploads = [upload for _, needed in placed.values() for upload in needed]
    code_uri, code_uploads = place_source(code, place.store, "code")
    name = job_name(job, attempt)
    if step.kind == Kind.DEPLOY:
        name, kind = endpoint.endpoint_name(place, job), ENDPOINT
        requests, code_uploads = endpoint.requests(place, job, inputs, context), ()
        requests.insert(0, _job_file(folder, job, {key: uri for key, (uri, _) in placed.items()}))
    else:
        work = Work(step, job, name, folder, {key: uri for key, (uri, _) in placed.items()}, outputs, code_uri, context)
        kind = TRAINING if step.trains else PROCESSING
        body = training.request(place, work) if kind == TRAINING else processing.request(place, work)
        requests = [_job_file(folder, job), Request("CreateTrainingJob" if kind == TRAINING else "CreateProcessingJob", body)]
    return Plan(
        target="sagemaker",
        run=job.run,
        step=job.step,
        handle=str(Handle(place.account, place.region, kind, name)),
        folder=folder,
        requests=tuple(requests),
        outputs=outputs,
        uploads=(*code_uploads, *uploads),
        losses=tuple(losses(step)),
    )


def _job_file(folder: str, job: Job, inputs: Mapping[str, str] | None = None) -> Request:
    """``inputs``: of a deployment, which is tried out from here and so has no container to tell them."""
    told = {"inputs": dict(inputs)} if inputs else {}
    return Request(WRITE, {"uri": storage.join(folder, "job.json"), "json": job.model_dump(mode="json"), **told})


def losses(step: Step) -> Iterator[str]:
    """What the job file asks and SageMaker cannot express."""
    resources = step.resources
    if step.trains:
        if not isinstance(resources.workers, int):
            yield f"workers: a training job has a fixed number of instances, so all {resources.workers.max} are asked for"
        if step.kind == Kind.TUNE:
            yield "tune: the trials share the instances of one training job, and Ray Tune leads them; the console's tuning jobs do not show them"
    elif step.kind == Kind.ETL and resources.max_workers > 1:
        yield f"workers: Spark runs on one instance, with the cores and memory of all {resources.max_workers} workers"
    elif resources.max_workers > 1:
        yield f"workers: a step of kind {step.kind} runs on one instance"
    if step.spot and not step.trains:
        yield f"spot: only training jobs can run on spot capacity; a step of kind {step.kind} does not"
    yield from shared(step, "SageMaker")
