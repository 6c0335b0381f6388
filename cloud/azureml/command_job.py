"""A step as Azure's command job, in the words of its CLI-v2 document. Pure.

Inputs and outputs are mounted. The image's ``cloud.containers.azure_step`` gets their paths as arguments, because Azure puts them into
the command alone. Training runs on Ray: Azure starts it on every node, and the command on the first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloud.azureml.instances import INSTANCES
from cloud.azureml.places import Place
from cloud.machines import smallest
from jobs.contracts import storage
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Job
from jobs.control.spec import Kind, Step, seconds
from jobs.control.variables import SPARK, engine_of

SCHEMA = "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"
TAG = "seatrial."
_RESERVED = "seatrial_"


@dataclass(frozen=True)
class Work:
    """One step, and where its things lie in the store."""

    step: Step
    job: Job
    name: str
    folder: str
    inputs: Mapping[str, str]  # name -> azureml:// location
    outputs: Mapping[str, str]
    code: str
    context: Mapping[str, str]


def document(place: Place, work: Work) -> dict[str, Any]:
    """The job's document.

    Errors: RequestError for secrets, a reserved name, or resources that no machine has.
    """
    _refuse_what_cannot_be(work)
    settings, step = place.settings, work.step
    image = settings.images.spark if step.kind == Kind.ETL else settings.images.ray
    return {
        "$schema": SCHEMA,
        "type": "command",
        "name": work.name,
        "display_name": f"{work.job.pipeline}/{work.job.step}",
        "experiment_name": work.job.pipeline,
        "command": _command(work),
        "environment": {"image": place.image(image)},
        "environment_variables": dict(sorted({**step.env, **work.context, **_own_variables(step)}.items())),
        "inputs": {
            "seatrial_job": {"type": "uri_file", "path": storage.join(work.folder, "job.json"), "mode": "download"},
            "seatrial_code": {"type": "uri_folder", "path": work.code, "mode": "ro_mount"},
            **{_key(name): {"type": "uri_folder", "path": uri, "mode": "ro_mount"} for name, uri in work.inputs.items()},
        },
        "outputs": {
            "seatrial_step": {"type": "uri_folder", "path": work.folder, "mode": "rw_mount"},
            **{_key(name): {"type": "uri_folder", "path": uri, "mode": "rw_mount"} for name, uri in work.outputs.items()},
        },
        **_machines(place, work),
        **({"distribution": _ray(step)} if is_distributed(step) else {}),
        **({"limits": {"timeout": seconds(step.time_limit)}} if step.time_limit else {}),
        **({"queue_settings": {"job_tier": "spot"}} if step.spot and not _compute(place, step) else {}),
        **({"identity": {"type": settings.identity}} if settings.identity else {}),
        "tags": tags(place, work.job),
    }


def is_distributed(step: Step) -> bool:
    return step.trains and step.resources.max_workers > 1


def _ray(step: Step) -> dict[str, str]:
    """Each node offers the cores of one worker: with all of its own, Ray would put every worker on the first node that is up."""
    cores = f"--num-cpus={max(1, math.ceil(step.resources.cpu))}"
    return {"type": "ray", "head_node_additional_args": cores, "worker_node_additional_args": cores}


def _own_variables(step: Step) -> dict[str, str]:
    return {"SEATRIAL_ENGINE": engine_of(step, SPARK), **({"SEATRIAL_PRINT_METRICS": "1"} if step.kind == Kind.TRAIN else {})}


def tags(place: Place, job: Job) -> dict[str, str]:
    own = {"pipeline": job.pipeline, "run": job.run, "step": job.step, "fingerprint": job.fingerprint}
    return {**place.settings.tags, **{TAG + key: value for key, value in own.items()}}


def _command(work: Work) -> str:
    words = ["python -m cloud.containers.azure_step", "--job ${{inputs.seatrial_job}}", "--code ${{inputs.seatrial_code}}"]
    words += ["--folder ${{outputs.seatrial_step}}"]
    words += [f"--input {name}=${{{{inputs.{_key(name)}}}}}" for name in work.inputs]
    words += [f"--output {name}=${{{{outputs.{_key(name)}}}}}" for name in work.outputs]
    return " ".join(words)


def _key(name: str) -> str:
    """A name as an expression can carry it; a job file has no two names that differ only in this."""
    return name.replace("-", "_")


def _refuse_what_cannot_be(work: Work) -> None:
    if work.step.secrets:
        hint = "let the job's identity read them from a Key Vault in your code, or leave `secrets` out on this target"
        raise RequestError("secrets: Azure ML hands none to a container", where=work.job.step, hint=hint)
    if reserved := [name for name in [*work.inputs, *work.outputs] if _key(name).startswith(_RESERVED)]:
        raise RequestError(f"names that begin with {_RESERVED} are the target's own: {reserved[0]}", where=work.job.step, hint="choose another name")
    if both := {_key(name) for name in work.inputs} & {_key(name) for name in work.outputs}:
        raise RequestError(f"an input and an output are both called {min(both)}", where=work.job.step, hint="Azure wants different names; rename one")


def _compute(place: Place, step: Step) -> str:
    settings = place.settings
    return (settings.gpu_compute or settings.compute) if step.resources.gpu else settings.compute


def _machines(place: Place, work: Work) -> dict[str, Any]:
    step, compute = work.step, _compute(place, work.step)
    count = max(1, step.resources.max_workers) if step.trains else 1
    resources: dict[str, Any] = {"instance_count": count, "shm_size": place.settings.shared_memory.removesuffix("i").lower()}
    if compute:
        return {"compute": f"azureml:{compute}", "resources": resources}
    return {"resources": {"instance_type": place.settings.instance or _instance(step), **resources}}


def _instance(step: Step) -> str:
    together = max(1, step.resources.max_workers) if step.kind == Kind.ETL else 1
    resources = step.resources if step.trains else step.resources.model_copy(update={"gpu": 0})
    return smallest(INSTANCES, resources, together=together, target="azureml", setting="targets.azureml.instance")
