"""A train step's optional input ``parameters``: what a tune step found takes the place of the step's own parameters."""

from __future__ import annotations

from dataclasses import replace

from jobs.contracts import parameters
from jobs.contracts.job import Context

INPUT = "parameters"


def applied(context: Context) -> Context:
    """The same step with those parameters and without that input; its fingerprint has both in it already."""
    uri = context.inputs.get(INPUT)
    if uri is None:
        return context
    found = parameters.load(uri).params
    job = context.job.model_copy(update={"params": context.job.params | found, "inputs": tuple(name for name in context.job.inputs if name != INPUT)})
    return replace(context, job=job, inputs={name: place for name, place in context.inputs.items() if name != INPUT})
