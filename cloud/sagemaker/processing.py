"""An ETL or evaluation step as ``CreateProcessingJob``: one instance that runs the image's ``process``.

Inputs are copied to the instance by SageMaker. Outputs are written to S3 by the step itself, because a dataset's manifest must come last.
"""

from __future__ import annotations

from typing import Any

from cloud.machines import smallest
from cloud.sagemaker import parts
from cloud.sagemaker.instances import INSTANCES
from cloud.sagemaker.parts import CODE, Work
from cloud.sagemaker.places import Place
from jobs.contracts.errors import RequestError
from jobs.control.spec import Kind, memory_bytes, seconds

ROOT = "/opt/ml/processing"
_LONGEST = 86_400  # seconds, of a step without a time limit


def request(place: Place, work: Work) -> dict[str, Any]:
    """The request's body.

    Errors: RequestError for an input with the code's name, secrets, or resources that no instance has.
    """
    if CODE in work.inputs:
        raise RequestError(f"an input of a processing step cannot be called {CODE}", where=work.job.step, hint="choose another name")
    settings, step = place.settings, work.step
    image = settings.images.spark if step.kind == Kind.ETL else settings.images.ray
    return {
        "ProcessingJobName": work.name,
        "ProcessingInputs": [
            *(_input(name, uri, f"{ROOT}/input/{name}") for name, uri in work.inputs.items()),
            _input(CODE, work.code, f"{ROOT}/{CODE}"),
        ],
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": settings.processing_instance or _instance(work),
                "VolumeSizeInGB": parts.gibibytes(memory_bytes(settings.volume)),
                **parts.key(place, "VolumeKmsKeyId"),
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": seconds(step.time_limit) if step.time_limit else _LONGEST},
        "AppSpecification": {"ImageUri": place.image(image), "ContainerEntrypoint": ["process"]},
        "Environment": parts.variables(work, f"{ROOT}/input", f"{ROOT}/{CODE}"),
        **({"NetworkConfig": parts.network(place)} if parts.network(place) else {}),
        "RoleArn": place.role,
        "Tags": parts.tags(place, work.job),
    }


def _input(name: str, uri: str, path: str) -> dict[str, Any]:
    source = {"S3Uri": parts.folder(uri), "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File", "S3DataDistributionType": "FullyReplicated"}
    return {"InputName": name, "S3Input": source}


def _instance(work: Work) -> str:
    resources = work.step.resources.model_copy(update={"gpu": 0})
    together = max(1, resources.max_workers) if work.step.kind == Kind.ETL else 1
    return smallest(INSTANCES, resources, together=together, target="sagemaker", setting="targets.sagemaker.processing_instance")
