"""A deployment as CLI-v2 documents: the endpoint, a deployment of one registered version, and the traffic. Pure.

A deployment is named after its version and content, so the same one is found again and a new one starts beside the old.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloud.azureml.command_job import tags
from cloud.azureml.places import Place
from cloud.names import fitting
from jobs.contracts import fingerprint
from jobs.contracts.job import Job
from jobs.control.plan import Request, Source

ENDPOINT, DEPLOYMENT, TRAFFIC = "online endpoint", "online deployment", "endpoint traffic"
PORT = 5001
_SCHEMAS = "https://azuremlschemas.azureedge.net/latest/managedOnline"
_NAME_LIMIT = 32  # characters of an endpoint's and of a deployment's name
_TIMEOUT = 90_000  # milliseconds of one request: the most that Azure allows is 180,000


def endpoint_name(place: Place, job: Job) -> str:
    return fitting(place.settings.endpoint or job.pipeline, _NAME_LIMIT)


def requests(place: Place, job: Job, inputs: Mapping[str, Source], context: Mapping[str, str]) -> list[Request]:
    """``context`` names the registered version that the alias means; without one (a preview) it is called ``preview``."""
    settings, name = place.settings, endpoint_name(place, job)
    version = context.get("SEATRIAL_MODEL_VERSION", "preview")
    body: dict[str, Any] = {
        "$schema": f"{_SCHEMAS}Deployment.schema.json",
        "endpoint_name": name,
        "model": f"azureml:{model_name(place, job.pipeline)}:{version}",
        "environment": {"image": place.image(settings.images.ray), "inference_config": _routes()},
        "environment_variables": {"SEATRIAL_MODEL_NAME": context.get("SEATRIAL_MODEL_NAME", job.pipeline), "SEATRIAL_MODEL_VERSION": version},
        "instance_type": settings.endpoint_instance,
        "instance_count": settings.endpoint_instances,
        "request_settings": {"request_timeout_ms": _TIMEOUT},
    }
    deployment = f"v{version}-{fingerprint.of(body)[:8]}"
    endpoint = {"$schema": f"{_SCHEMAS}Endpoint.schema.json", "name": name, "auth_mode": "key", "tags": tags(place, job)}
    return [
        Request(ENDPOINT, endpoint),
        Request(DEPLOYMENT, {"name": deployment, **body, "tags": tags(place, job)}),
        Request(TRAFFIC, {"name": name, "traffic": {deployment: 100}}),
    ]


def model_name(place: Place, pipeline: str) -> str:
    return place.settings.model or pipeline


def _routes() -> dict[str, Any]:
    paths = {"liveness_route": "/v2/health/live", "readiness_route": "/v2/health/ready", "scoring_route": "/predict"}
    return {route: {"port": PORT, "path": path} for route, path in paths.items()}
