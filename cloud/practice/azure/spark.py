"""A Spark job: ``spark-submit`` in local mode in the image with Spark. The managed runtime's version is not practised."""

from __future__ import annotations

import shlex
from typing import Any

from cloud.practice.azure import commands
from cloud.practice.azure.addresses import address
from cloud.practice.azure.checks import mapping
from cloud.practice.azure.documents import Document
from cloud.practice.azure.faults import bad_request
from cloud.practice.azure.jobs import Jobs, Live

_ENVIRONMENT = "practice-spark"


def check(jobs: Jobs, properties: Document) -> None:
    entry = mapping(properties, "entry")
    if entry.get("sparkJobEntryType") != "SparkJobPythonEntry" or not entry.get("file"):
        raise bad_request("A Spark job's entry must be a SparkJobPythonEntry with a file.", target="entry")
    if not mapping(properties, "resources").get("runtimeVersion") and not properties.get("computeId"):
        raise bad_request("A Spark job needs resources.runtimeVersion or a compute.", target="resources")
    jobs.checks.command(_as_command(jobs, properties))


def run(jobs: Jobs, live: Live, properties: Document, search: dict[str, Any] | None) -> None:
    commands.run(jobs, live, _as_command(jobs, properties), search)


def _as_command(jobs: Jobs, properties: Document) -> Document:
    settings = [word for key, value in mapping(properties, "conf").items() for word in ("--conf", f"{key}={value}")]
    files = [
        word
        for option, field in (("--py-files", "pyFiles"), ("--files", "files"), ("--jars", "jars"))
        if properties.get(field)
        for word in (option, ",".join(properties[field]))
    ]
    words = shlex.join(["spark-submit", "--master", "local[*]", *settings, *files, mapping(properties, "entry")["file"]])
    resources = {"instanceCount": 1}
    environment = properties.get("environmentId") or _environment(jobs)
    return {**properties, "command": f"{words} {properties.get('args') or ''}", "environmentId": environment, "resources": resources, "computeId": None}


def _environment(jobs: Jobs) -> str:
    """The managed runtime stands for the built-in image with Spark."""
    at = address("environments", _ENVIRONMENT, "versions", "1")
    if jobs.documents.get(at) is None:
        image = next(name for name in jobs.practice.images.names() if name.startswith("seatrial-spark"))
        jobs.documents.put(address("environments", _ENVIRONMENT), {"latestVersion": "1", "isArchived": False})
        jobs.documents.put(at, {"image": image, "isAnonymous": True, "osType": "Linux"})
    return at.id
