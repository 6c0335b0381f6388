"""A training step as ``CreateTrainingJob``: one worker on each instance, Ray across them started by the image's ``train``."""

from __future__ import annotations

from typing import Any

from cloud.machines import smallest
from cloud.sagemaker import parts
from cloud.sagemaker.instances import INSTANCES
from cloud.sagemaker.parts import CODE, Work
from cloud.sagemaker.places import Place
from jobs.contracts import storage
from jobs.contracts.errors import RequestError
from jobs.contracts.job import CHECKPOINTS
from jobs.control.spec import memory_bytes, seconds

DATA = "/opt/ml/input/data"
ARTEFACTS = "sagemaker"  # below the step's folder: model.tar.gz, as SageMaker packs it
_LONGEST = 86_400  # seconds, of a step without a time limit
_MOST_RETRIES = 30


def request(place: Place, work: Work) -> dict[str, Any]:
    """The request's body.

    Errors: RequestError for an input with the code channel's name, secrets, or resources that no instance has.
    """
    if CODE in work.inputs:
        raise RequestError(f"an input of a training step cannot be called {CODE}", where=work.job.step, hint="choose another name")
    settings, step = place.settings, work.step
    return {
        "TrainingJobName": work.name,
        "AlgorithmSpecification": {
            "TrainingImage": place.image(settings.images.ray),
            "TrainingInputMode": settings.input_mode,
            **({"MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in settings.metrics.items()]} if settings.metrics else {}),
        },
        "RoleArn": place.role,
        "InputDataConfig": [_channel(name, uri) for name, uri in {**work.inputs, CODE: work.code}.items()],
        "OutputDataConfig": {"S3OutputPath": storage.join(work.folder, ARTEFACTS), **parts.key(place, "KmsKeyId")},
        "ResourceConfig": {
            "InstanceType": settings.instance or smallest(INSTANCES, step.resources, target="sagemaker", setting="targets.sagemaker.instance"),
            "InstanceCount": max(1, step.resources.max_workers),
            "VolumeSizeInGB": parts.gibibytes(memory_bytes(settings.volume)),
            **parts.key(place, "VolumeKmsKeyId"),
        },
        **parts.network(place),
        **_time(place, work),
        **({"EnableInterContainerTrafficEncryption": True} if settings.encrypt_traffic else {}),
        **({"RetryStrategy": {"MaximumRetryAttempts": min(step.retries, _MOST_RETRIES)}} if step.retries else {}),
        # The step itself keeps this place up to date; that it stands here shows it, and lets SageMaker bring it to a new host.
        **({"CheckpointConfig": {"S3Uri": storage.join(work.folder, CHECKPOINTS)}} if step.checkpoint.every != "never" or step.spot else {}),
        "Environment": parts.variables(work, DATA, f"{DATA}/{CODE}") | {"SEATRIAL_PRINT_METRICS": "1"},
        "Tags": parts.tags(place, work.job),
    }


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": parts.folder(uri), "S3DataDistributionType": "FullyReplicated"}
    # Code is read from a disk, whatever the data's mode: Python imports it file by file.
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **({"InputMode": "File"} if name == CODE else {})}


def _time(place: Place, work: Work) -> dict[str, Any]:
    longest = seconds(work.step.time_limit) if work.step.time_limit else _LONGEST
    if not work.step.spot:
        return {"StoppingCondition": {"MaxRuntimeInSeconds": longest}}
    return {
        "StoppingCondition": {"MaxRuntimeInSeconds": longest, "MaxWaitTimeInSeconds": longest + seconds(place.settings.spot_wait)},
        "EnableManagedSpotTraining": True,
    }
