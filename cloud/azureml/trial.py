"""Tries a deployment of Azure ML's out, once it is up, and writes the deploy step's ``outputs.json``."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloud import trial
from cloud.azureml.blob_store import BlobStore
from cloud.azureml.client import Azure
from cloud.azureml.handles import Handle
from cloud.azureml.online_endpoint import DEPLOYMENT
from jobs.contracts import storage
from jobs.contracts.job import OUTPUTS, Job
from jobs.control.plan import Plan


def try_out(azure: Azure, store: BlobStore, plan: Plan) -> None:
    """Errors: RunError when its answers are not the bundle's."""
    bodies = {request.kind: request.body for request in plan.requests}
    told, handle = bodies["write"], Handle.parse(plan.handle)
    dataset = told["inputs"].get("dataset", "")
    deployed = trial.Deployed(
        url=f"{azure.where}/{handle.name}/{handle.deployment}",
        version=bodies[DEPLOYMENT]["environment_variables"]["SEATRIAL_MODEL_VERSION"],
        bundle=store.fetch(told["bundle"]),
        dataset=store.fetch(dataset) if dataset else "",
        params=Job.model_validate(told["json"]).params,
    )
    with tempfile.TemporaryDirectory(prefix="seatrial-") as folder:
        request = Path(folder) / "rows.json"

        def ask(rows: Sequence[Mapping[str, Any]]) -> bytes:
            request.write_text(json.dumps(list(rows)))  # the SDK sends a file
            answer = azure.ask(
                f"endpoint {handle.name}",
                lambda client: client.online_endpoints.invoke(handle.name, request_file=str(request), deployment_name=handle.deployment),
            )
            return str(answer).encode()

        result = trial.try_out(deployed, ask)
    store.write(storage.join(plan.folder, OUTPUTS), result.model_dump_json(indent=1).encode())
