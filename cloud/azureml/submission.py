"""Sends a plan's documents, each validated in full and only if what it makes is not there yet.

A document is read by the SDK's own schema (``load_job`` and its kin), so what goes over the wire is what the CLI would send.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import yaml

from cloud.azureml import rules
from cloud.azureml.blob_store import BlobStore
from cloud.azureml.client import Azure, quiet
from cloud.azureml.command_job import TAG
from cloud.azureml.errors import translate
from cloud.azureml.online_endpoint import DEPLOYMENT, ENDPOINT, TRAFFIC
from cloud.azureml.step_plan import COMMAND, WRITE
from jobs.contracts import storage
from jobs.contracts.errors import RequestError
from jobs.contracts.job import ERROR
from jobs.control.plan import Plan, Request


def violations(plan: Plan) -> list[str]:
    return [each for request in plan.requests if request.kind == COMMAND for each in rules.violations(request.body)]


def send(azure: Azure, store: BlobStore, plan: Plan) -> None:
    """Errors: RequestError for a document that is not valid, or when something else has the name."""
    if wrong := violations(plan):
        raise RequestError("; ".join(wrong), where=plan.target, hint="nothing was sent; correct the job file or its targets.azureml")
    for request in plan.requests:
        if request.kind == WRITE:
            _write(azure, store, plan, request)
        elif request.kind == COMMAND:
            _create_job(azure, request)
        elif request.kind == ENDPOINT:
            _create_endpoint(azure, request)
        elif request.kind == DEPLOYMENT:
            _create_deployment(azure, request)


def load_job(document: Mapping[str, Any]) -> Any:
    """The SDK's own object of a document, as ``az ml job create --file`` makes it."""
    return _load("load_job", document)


def _load(reader: str, document: Mapping[str, Any]) -> Any:
    """``reader``: the SDK's function for such documents.

    Errors: RequestError in the schema's words.
    """
    with quiet(), translate(str(document.get("name", ""))):
        import azure.ai.ml

        return getattr(azure.ai.ml, reader)(io.StringIO(yaml.safe_dump(dict(document), sort_keys=False)))


def find_job(azure: Azure, name: str) -> Any:
    return azure.find(f"job {name}", lambda client: client.jobs.get(name))


def find_deployment(azure: Azure, endpoint: str, name: str) -> Any:
    return azure.find(f"deployment {endpoint}/{name}", lambda client: client.online_deployments.get(name, endpoint))


def move_traffic(azure: Azure, plan: Plan) -> None:
    """All requests to the new deployment; the ones of ours that get none any more go, so that they cost nothing."""
    body = next(request.body for request in plan.requests if request.kind == TRAFFIC)
    name, traffic = body["name"], dict(body["traffic"])
    endpoint = azure.ask(f"endpoint {name}", lambda client: client.online_endpoints.get(name))
    if {key: share for key, share in (endpoint.traffic or {}).items() if share} != traffic:
        endpoint.traffic = traffic
        azure.ask(f"endpoint {name}", lambda client: client.online_endpoints.begin_create_or_update(endpoint).result())


def remove_idle(azure: Azure, plan: Plan) -> None:
    """Deployments that Seatrial made and that answer nobody any more."""
    body = next(request.body for request in plan.requests if request.kind == TRAFFIC)
    name, kept = body["name"], set(body["traffic"])
    for each in azure.ask(f"endpoint {name}", lambda client: list(client.online_deployments.list(name))):
        if each.name not in kept and TAG + "pipeline" in (each.tags or {}):
            azure.ask(f"deployment {name}/{each.name}", lambda client, old=each.name: client.online_deployments.begin_delete(old, name))  # type: ignore[misc]


def _write(azure: Azure, store: BlobStore, plan: Plan, request: Request) -> None:
    """``job.json``; an earlier attempt's error goes, unless the job is there already and may have written it."""
    main = plan.requests[-1]
    if main.kind != COMMAND or find_job(azure, main.body["name"]) is None:
        store.remove(storage.join(plan.folder, ERROR))
    store.write(request.body["uri"], json.dumps(request.body["json"], indent=1).encode())


def _create_job(azure: Azure, request: Request) -> None:
    name = request.body["name"]
    found = find_job(azure, name)
    if found is None:
        job = load_job(request.body)
        azure.ask(f"job {name}", lambda client: client.jobs.create_or_update(job))
    elif (found.tags or {}).get(TAG + "fingerprint") != request.body["tags"][TAG + "fingerprint"]:
        raise RequestError("something else has this name", where=f"{azure.where}/{name}", hint="give the pipeline another name, or leave --run out")


def _create_endpoint(azure: Azure, request: Request) -> None:
    """An endpoint that another pipeline or program made is not taken over."""
    name = request.body["name"]
    found = azure.find(f"endpoint {name}", lambda client: client.online_endpoints.get(name))
    if found is None:
        made = _load("load_online_endpoint", request.body)
        azure.ask(f"endpoint {name}", lambda client: client.online_endpoints.begin_create_or_update(made).result())
    elif (found.tags or {}).get(TAG + "pipeline") != request.body["tags"][TAG + "pipeline"]:
        raise RequestError("another endpoint has this name", where=f"{azure.where}/{name}", hint="choose another name: targets.azureml.endpoint")


def _create_deployment(azure: Azure, request: Request) -> None:
    """One that failed is made again; any other of the name is the same, because the name says its content."""
    endpoint, name = request.body["endpoint_name"], request.body["name"]
    found = find_deployment(azure, endpoint, name)
    if found is None or (found.provisioning_state or "").lower() == "failed":
        made = _load("load_online_deployment", request.body)
        azure.ask(f"deployment {endpoint}/{name}", lambda client: client.online_deployments.begin_create_or_update(made))
