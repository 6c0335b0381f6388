"""Tries an endpoint of SageMaker's out, once it is in service, and writes the deploy step's ``outputs.json``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cloud import trial
from cloud.sagemaker.client import Aws
from jobs.contracts import storage
from jobs.contracts.errors import StepFailed
from jobs.contracts.job import OUTPUTS, Job
from jobs.control.plan import Plan


def try_out(aws: Aws, plan: Plan, fetch: Callable[[str], str]) -> None:
    """Errors: StepFailed when the endpoint went back to what it was before; RunError when its answers are not the bundle's."""
    bodies: dict[str, Any] = {request.kind: request.body for request in plan.requests}
    wanted, job = bodies["CreateEndpoint"], Job.model_validate(bodies["write"]["json"])
    name = wanted["EndpointName"]
    found = aws.call("describe_endpoint", EndpointName=name)
    if found["EndpointConfigName"] != wanted["EndpointConfigName"]:
        why = found.get("FailureReason", "the new version did not start")
        raise StepFailed(f"the endpoint went back to the version before: {why}", where=name, hint="read its log: seatrial logs HANDLE")
    container = bodies["CreateModel"]["PrimaryContainer"]
    dataset = next((each for key, each in bodies["write"].get("inputs", {}).items() if key == "dataset"), "")
    deployed = trial.Deployed(
        url=f"{aws.where}/endpoint/{name}",
        version=container["Environment"]["SEATRIAL_MODEL_VERSION"],
        bundle=fetch(container["ModelDataSource"]["S3DataSource"]["S3Uri"].rstrip("/")),
        dataset=fetch(dataset) if dataset else "",
        params=job.params,
    )

    def ask(rows: Sequence[Mapping[str, Any]]) -> bytes:
        body = json.dumps({"dataframe_records": list(rows)}).encode()
        answer = aws.call("invoke_endpoint", "sagemaker-runtime", EndpointName=name, ContentType="application/json", Body=body)
        return bytes(answer["Body"].read())

    result = trial.try_out(deployed, ask)
    storage.write_bytes(storage.join(plan.folder, OUTPUTS), result.model_dump_json(indent=1).encode())
