"""What requests of several operations have in common: variables, tags, network, keys. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloud.sagemaker.places import Place
from jobs.contracts import storage
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Job
from jobs.control.spec import Step
from jobs.control.variables import SPARK, engine_of, place_variables

CODE = "seatrial-code"  # channel or input with the workload's packages
TAG = "seatrial:"
_GIB = 2**30


@dataclass(frozen=True)
class Work:
    """One step, and where its things lie in the store."""

    step: Step
    job: Job
    name: str  # of the job on SageMaker
    folder: str
    inputs: Mapping[str, str]  # name -> URI in S3
    outputs: Mapping[str, str]
    code: str
    context: Mapping[str, str]


def variables(work: Work, local: str, code: str) -> dict[str, str]:
    """``local``: below which inputs lie in the container; ``code``: where the packages lie there."""
    if work.step.secrets:
        raise RequestError(
            "secrets: SageMaker hands none to a container",
            where=work.job.step,
            hint="let the job's role read them: call Secrets Manager in your code, or leave `secrets` out on this target",
        )
    inputs = {name: f"{local}/{name}" for name in work.inputs}
    places = place_variables(inputs, work.outputs, folder=work.folder, code=code, engine=engine_of(work.step, SPARK))
    found = {**work.step.env, **work.context, **places, "SEATRIAL_JOB_FILE": storage.join(work.folder, "job.json")}
    return dict(sorted(found.items()))


def tags(place: Place, job: Job) -> list[dict[str, str]]:
    own = {"pipeline": job.pipeline, "run": job.run, "step": job.step, "fingerprint": job.fingerprint}
    return tag_list({**place.settings.tags, **{TAG + key: value for key, value in own.items()}})


def tag_list(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def network(place: Place) -> dict[str, Any]:
    settings = place.settings
    return {"VpcConfig": {"SecurityGroupIds": list(settings.security_groups), "Subnets": list(settings.subnets)}} if settings.subnets else {}


def key(place: Place, name: str) -> dict[str, str]:
    return {name: place.settings.kms_key} if place.settings.kms_key else {}


def gibibytes(count: int) -> int:
    return max(1, -(-count // _GIB))


def folder(uri: str) -> str:
    """As a prefix that ends with its folder: ``…/data`` would also mean ``…/data-old``."""
    return uri.rstrip("/") + "/"
