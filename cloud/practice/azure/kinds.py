"""The types of job: how each is checked and run."""

from __future__ import annotations

from cloud.practice.azure import commands, pipelines, spark, sweeps
from cloud.practice.azure.documents import Document
from cloud.practice.azure.faults import bad_request
from cloud.practice.azure.jobs import Kind

_KINDS = {
    "Command": Kind(commands.check, commands.run),
    "Sweep": Kind(sweeps.check, sweeps.run),
    "Pipeline": Kind(pipelines.check, pipelines.run),
    "Spark": Kind(spark.check, spark.run),
}


def of(properties: Document) -> Kind:
    """Errors: Fault for a type that does not exist or that practice does not run."""
    kind = properties.get("jobType")
    if kind not in _KINDS:
        raise bad_request(f"The job type '{kind}' cannot be practised; {', '.join(_KINDS)} can.", inner="JobTypeNotSupported", target="jobType")
    return _KINDS[kind]
