"""What Azure refuses before a job exists: names, references, counts, places. The SDK lets most of this through."""

from __future__ import annotations

import re
from typing import Any

from cloud.practice.azure.addresses import address, reference
from cloud.practice.azure.documents import Document, Documents
from cloud.practice.azure.durations import seconds
from cloud.practice.azure.faults import bad_content, bad_request
from cloud.practice.azure.places import Places

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9\-_.]{0,254}")
EXPRESSION = re.compile(r"\$\{\{\s*(inputs|outputs|search_space)\.([\w.]+)\s*\}\}")
_INPUTS = ("literal", "uri_file", "uri_folder", "mltable", "custom_model", "mlflow_model", "triton_model")
_INPUT_MODES = ("ReadOnlyMount", "ReadWriteMount", "Download", "Direct", "EvalMount", "EvalDownload")
_OUTPUT_MODES = ("ReadWriteMount", "Upload", "Direct")
_DISTRIBUTIONS = ("PyTorch", "TensorFlow", "Mpi", "Ray")
_TIERS = ("Null", "Spot", "Basic", "Standard", "Premium")


def check_name(name: str, what: str) -> None:
    if not NAME.fullmatch(name):
        raise bad_request(
            f"{what} name '{name}' is invalid: it has 1 to 255 letters, digits, '-', '_' and '.', and starts with a letter or digit.", target="name"
        )


def text(properties: Document, field: str) -> str:
    value = properties.get(field)
    if not isinstance(value, str) or not value.strip():
        raise bad_request(f"The {field} field is required.", target=field)
    return value


def mapping(properties: Document, field: str) -> dict[str, Any]:
    value = properties.get(field) or {}
    if not isinstance(value, dict):
        raise bad_content(f"'{field}' must be an object.")
    return value


class JobChecks:
    """Errors of every method: Fault, as the service would answer."""

    def __init__(self, documents: Documents, places: Places) -> None:
        self._documents, self._places = documents, places

    def command(self, properties: Document) -> None:
        command = text(properties, "command")
        self.trial(properties, command)
        self.inputs(properties)
        self.outputs(properties)
        self.expressions(command, properties)
        self.compute(properties)
        self.timeout(properties)

    def trial(self, properties: Document, command: str) -> None:
        """What a command job has in common with a sweep's trial and a component."""
        text(properties, "environmentId")
        if self._places.asset(properties["environmentId"], "environments") is None:
            raise bad_request(
                f"Environment '{properties['environmentId']}' is not in this workspace; registries' environments cannot be practised.",
                inner="EnvironmentNotFound",
            )
        if (code := properties.get("codeId")) and self._places.asset(code, "codes") is None:
            raise bad_request(f"Code asset '{code}' is invalid.", target="codeId")
        self._distribution(mapping(properties, "distribution"))
        self._resources(mapping(properties, "resources"))
        tier = mapping(properties, "queueSettings").get("jobTier") or "Null"
        if tier.capitalize() not in _TIERS:
            raise bad_request(f"The job tier '{tier}' is unknown; there are {', '.join(_TIERS[1:])}.", target="queueSettings.jobTier")

    def _distribution(self, distribution: Document) -> None:
        if not distribution:
            return
        kind = distribution.get("distributionType")
        if kind not in _DISTRIBUTIONS:
            raise bad_request(f"The distribution type '{kind}' is unknown; there are {', '.join(_DISTRIBUTIONS)}.", target="distribution.distributionType")
        count = distribution.get("processCountPerInstance")
        if count is not None and not (isinstance(count, int) and count >= 1):
            raise bad_request(f"processCountPerInstance must be at least 1, and is {count}.", target="distribution.processCountPerInstance")

    def _resources(self, resources: Document) -> None:
        count = resources.get("instanceCount", 1)
        if not isinstance(count, int) or count < 1:
            raise bad_request(f"instanceCount must be at least 1, and is {count}.", target="resources.instanceCount")

    def inputs(self, properties: Document, *, resolve: bool = True) -> None:
        for name, each in mapping(properties, "inputs").items():
            kind = each.get("jobInputType")
            if kind not in _INPUTS:
                raise bad_request(f"Input '{name}' has the unknown type '{kind}'; there are {', '.join(_INPUTS)}.", target=f"inputs.{name}")
            if kind == "literal":
                if each.get("value") in (None, ""):
                    raise bad_request(f"Input '{name}' has no value.", target=f"inputs.{name}")
                continue
            if each.get("mode") and each["mode"] not in _INPUT_MODES:
                raise bad_request(f"Input '{name}' has the unknown mode '{each['mode']}'; there are {', '.join(_INPUT_MODES)}.", target=f"inputs.{name}")
            if not each.get("uri"):
                raise bad_request(f"Input '{name}' has no uri.", target=f"inputs.{name}")
            if resolve and each.get("mode") != "Direct" and not each["uri"].startswith("${{"):
                self._places.find(each["uri"], "models" if kind.endswith("model") else "data")

    def outputs(self, properties: Document) -> None:
        for name, each in mapping(properties, "outputs").items():
            kind = each.get("jobOutputType")
            if kind not in _INPUTS or kind == "literal":
                raise bad_request(f"Output '{name}' has the unknown type '{kind}'.", target=f"outputs.{name}")
            if each.get("mode") and each["mode"] not in _OUTPUT_MODES:
                raise bad_request(f"Output '{name}' has the unknown mode '{each['mode']}'; there are {', '.join(_OUTPUT_MODES)}.", target=f"outputs.{name}")
            if each.get("uri"):
                self._places.find(each["uri"])

    def expressions(self, command: str, properties: Document, space: Document | None = None) -> None:
        known = {"inputs": mapping(properties, "inputs"), "outputs": mapping(properties, "outputs"), "search_space": space or {}}
        optional = " ".join(re.findall(r"\$\[\[.*?\]\]", command, re.DOTALL))
        for kind, name in EXPRESSION.findall(command):
            if name not in known[kind] and f"{kind}.{name}" not in optional:
                there = ", ".join(known[kind]) or "none"
                raise bad_request(
                    f"The command uses ${{{{{kind}.{name}}}}}, which the job does not define (it has: {there}).", inner="InvalidExpression", target="command"
                )

    def compute(self, properties: Document) -> Document | None:
        """The compute's document; None for serverless."""
        resources = mapping(properties, "resources")
        given = properties.get("computeId") or ""
        if not given or given.rstrip("/").rsplit("/", 1)[-1].lower() == "serverless":
            return None
        at = reference(given) or address("computes", given.rsplit("/", 1)[-1])
        body = self._documents.get(at)
        if body is None:
            raise bad_request(f"Unknown compute target '{at.name}'.", inner="ComputeNotFound", target="computeId")
        most = body["properties"].get("properties", {}).get("scaleSettings", {}).get("maxNodeCount", 1)
        if resources.get("instanceCount", 1) > most:
            message = f"The specified node count '{resources['instanceCount']}' exceeds the maximum of compute target '{at.name}', {most}."
            raise bad_request(message, inner="NodeCountExceeded", target="resources.instanceCount")
        return body

    def timeout(self, properties: Document) -> None:
        limit = mapping(properties, "limits").get("timeout")
        if limit is not None and seconds(limit) <= 0:
            raise bad_request(f"The timeout '{limit}' is not a positive ISO 8601 duration.", target="limits.timeout")
