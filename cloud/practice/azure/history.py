"""Run history, which ``jobs.stream``, ``jobs.download`` and ``jobs.archive`` of the client ask."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from cloud.practice.azure import seeds
from cloud.practice.azure.addresses import address
from cloud.practice.azure.documents import Document
from cloud.practice.azure.faults import Fault
from cloud.practice.azure.jobs import Jobs
from cloud.practice.azure.places import ARTIFACT_ROOT
from cloud.practice.settings import SUBSCRIPTION

_TYPES = {"Command": "azureml.scriptrun", "Sweep": "azureml.HyperDriveRun", "Pipeline": "azureml.PipelineRun", "Spark": "azureml.scriptrun"}


class History:
    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def run(self, name: str) -> dict[str, Any]:
        """Errors: Fault 404 for an unknown run."""
        body = self._body(name)
        properties = body["properties"]
        return {
            "runId": body["name"],
            "runUuid": body["name"],
            "runNumber": 1,
            "rootRunId": properties["properties"].get("azureml.rootRunId", body["name"]),
            "parentRunId": properties.get("parentJobName"),
            "experimentId": properties["experimentName"],
            "status": properties["status"],
            "runType": _TYPES.get(properties["jobType"], "azureml.scriptrun"),
            "runTypeV2": {"orchestrator": None, "traits": [], "attribution": None, "computeType": "AmlCompute"},
            "displayName": properties["displayName"],
            "name": properties["displayName"],
            "description": properties.get("description"),
            "dataContainerId": f"dcid.{body['name']}",
            "createdUtc": body["systemData"]["createdAt"],
            "startTimeUtc": properties.get("startTimeUtc"),
            "endTimeUtc": properties.get("endTimeUtc"),
            "error": _error(properties),
            "tags": properties["tags"],
            "properties": properties["properties"],
            "hidden": properties["isArchived"],
            "target": properties["properties"].get("_azureml.ClusterName"),
            "userId": SUBSCRIPTION,
            "inputs": {},
            "outputs": {},
        }

    def details(self, name: str) -> dict[str, Any]:
        run = self.run(name)
        kept = ("runId", "target", "status", "startTimeUtc", "endTimeUtc", "error", "properties")
        return {
            **{key: run[key] for key in kept},
            "warnings": [],
            "inputDatasets": [],
            "outputDatasets": [],
            "runDefinition": {},
            "logFiles": self.logs(run["runId"]),
        }

    def logs(self, name: str) -> dict[str, str]:
        """Every file of the log folders, with an address that needs no token."""
        root = self._jobs.artifacts(name)
        found = sorted(
            path.relative_to(root).as_posix() for folder in ("user_logs", "logs", "system_logs") for path in (root / folder).rglob("*") if path.is_file()
        )
        base = f"{seeds.blob_url(self._jobs.practice, 'azureml')}/{ARTIFACT_ROOT}{name}"
        return {file: f"{base}/{quote(file)}?{seeds.SAS}" for file in found}

    def children(self, name: str) -> dict[str, Any]:
        self._body(name)
        return {"value": [self.run(child["name"]) for child in self._jobs.children(name)], "continuationToken": None}

    def data(self, name: str) -> dict[str, Any]:
        """What ``jobs.download`` reads the named outputs from."""
        body = self._body(name)
        outputs = {key: {"assetId": each["uri"], "type": "uri_folder"} for key, each in (body["properties"].get("outputs") or {}).items()}
        return {"runMetadata": {**self.run(name), "outputs": outputs}, "runDefinition": None, "jobSpecification": None}

    def change(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """Tags, name, description and archiving; only what is given."""
        body = self._body(name)

        def change(properties: Document) -> None:
            for theirs, ours in (("displayName", "displayName"), ("description", "description"), ("hidden", "isArchived")):
                if given.get(theirs) is not None:
                    properties[ours] = given[theirs]
            for field in ("tags", "properties"):
                properties[field].update(given.get(field) or {})

        self._jobs.documents.change(address("jobs", body["name"]), change)
        return self.run(name)

    def _body(self, name: str) -> Document:
        body = self._jobs.documents.get(address("jobs", name))
        if body is None:
            raise Fault(404, "UserError", f"Run {name} was not found", inner="NotFound")
        return body


def _error(properties: Document) -> dict[str, Any] | None:
    error = properties.get("error")
    if not error or properties["status"] != "Failed":
        return None
    return {"error": {**error, "messageParameters": {}, "details": []}, "time": properties.get("endTimeUtc"), "componentName": "CommonRuntime"}
