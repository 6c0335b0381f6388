"""A deployment as ``CreateModel``, ``CreateEndpointConfig``, ``CreateEndpoint`` and, if asked for, autoscaling.

Models and configurations cannot be changed, so they are named after their content: the same deployment makes the same names. The
endpoint keeps its name; where it exists already, its ``CreateEndpoint`` is sent as ``UpdateEndpoint``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloud.deployed_bundle import bundle_of
from cloud.names import fitting
from cloud.sagemaker import parts
from cloud.sagemaker.places import Place
from jobs.contracts import fingerprint
from jobs.contracts.job import Job
from jobs.control.plan import Request, Source

VARIANT = "live"
SCALING = "application-autoscaling:"  # what requests to that service begin with; they are sent once the endpoint answers
_COOL_DOWN = 300  # seconds between two changes of the number of instances
_STARTUP = 600  # seconds in which a container must answer /ping


def requests(place: Place, job: Job, inputs: Mapping[str, Source], context: Mapping[str, str]) -> list[Request]:
    """``context`` names the version that the registry's alias means; without one (a preview) it is the step's own bundle."""
    bundle = bundle_of(job, {name: source.uri for name, source in inputs.items()}, context)
    container = {
        "Image": place.image(place.settings.images.ray),
        "ModelDataSource": model_data(bundle),
        "Environment": {
            "SEATRIAL_MODEL_NAME": context.get("SEATRIAL_MODEL_NAME", job.pipeline),
            "SEATRIAL_MODEL_VERSION": context.get("SEATRIAL_MODEL_VERSION", "preview"),
        },
    }
    name, tags = endpoint_name(place, job), parts.tags(place, job)
    model = {"PrimaryContainer": container, "ExecutionRoleArn": place.role, **parts.network(place)}
    model = {"ModelName": _named(name, model), **model, "Tags": tags}
    variant = {
        "VariantName": VARIANT,
        "ModelName": model["ModelName"],
        "InstanceType": place.settings.endpoint_instance,
        "InitialInstanceCount": place.settings.endpoint_instances,
        "InitialVariantWeight": 1.0,
        "ContainerStartupHealthCheckTimeoutInSeconds": _STARTUP,
    }
    config: dict[str, Any] = {"ProductionVariants": [variant], **parts.key(place, "KmsKeyId")}
    config = {"EndpointConfigName": _named(name, config), **config, "Tags": tags}
    endpoint = {"EndpointName": name, "EndpointConfigName": config["EndpointConfigName"], "Tags": tags}
    found = [Request("CreateModel", model), Request("CreateEndpointConfig", config), Request("CreateEndpoint", endpoint)]
    return found + list(_scaling(place, name))


def endpoint_name(place: Place, job: Job) -> str:
    return fitting(place.settings.endpoint or job.pipeline)


def model_data(bundle: str) -> dict[str, Any]:
    """A bundle's plain files: nothing has to be packed, and nothing unpacked when an endpoint grows."""
    return {"S3DataSource": {"S3Uri": parts.folder(bundle), "S3DataType": "S3Prefix", "CompressionType": "None"}}


def _named(endpoint: str, body: dict[str, Any]) -> str:
    return fitting(f"{endpoint[:50]}-{fingerprint.of(body)[:10]}")


def _scaling(place: Place, name: str) -> list[Request]:
    settings = place.settings
    if settings.endpoint_max_instances <= settings.endpoint_instances:
        return []
    what = {"ServiceNamespace": "sagemaker", "ResourceId": f"endpoint/{name}/variant/{VARIANT}", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
    target = {**what, "MinCapacity": settings.endpoint_instances, "MaxCapacity": settings.endpoint_max_instances}
    tracked = {
        "TargetValue": float(settings.endpoint_requests),
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleInCooldown": _COOL_DOWN,
        "ScaleOutCooldown": _COOL_DOWN,
    }
    policy = {"PolicyName": f"{name}-requests", **what, "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": tracked}
    return [Request(SCALING + "RegisterScalableTarget", target), Request(SCALING + "PutScalingPolicy", policy)]
