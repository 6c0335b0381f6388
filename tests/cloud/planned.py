"""The flights example as plans for clouds: its code and fingerprints are stand-ins, so that an edit of the example changes no golden file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobs.contracts.job import Job
from jobs.control import spec_file
from jobs.control.plan import Plan, Source
from jobs.control.spec import Kind, Pipeline

FLIGHTS = Path(__file__).parents[2] / "examples/flights/pipeline.yaml"
RUN = "flights-20261122-214500-3fa1"
FINGERPRINT = "0123456789abcdef" * 4
CODE = Source("/home/code", "c0de" * 16, 12_345, 4)
RAW = Source("/home/raw", "4a3b" * 16, 31_000_000, 5)
CONTEXT = {"SEATRIAL_EXPECT_VERSIONS": '{"ray": "2.60.0", "seatrial": "0.1.0"}'}


def flights(*overrides: str) -> Pipeline:
    return spec_file.load(FLIGHTS, overrides)


def plans(backend: Any, pipeline: Pipeline, attempt: int = 1, code: Source = CODE) -> dict[str, Plan]:
    """One plan per step; inputs are where the earlier plans put them."""
    found: dict[str, Plan] = {}
    for name in pipeline.order():
        step, sources = pipeline.steps[name], pipeline.sources(name)
        inputs = {key: Source(found[sources[key][0]].outputs[sources[key][1]], FINGERPRINT) if key in sources else RAW for key in step.inputs}
        facts = step.model_dump(mode="json", include={"entry", "params", "resources", "checkpoint", "retries"})
        facts |= {"pipeline": "flights", "run": RUN, "step": name, "kind": str(step.kind), "fingerprint": FINGERPRINT}
        job = Job.model_validate(facts | {"inputs": tuple(inputs), "outputs": tuple(step.outputs)})
        context = dict(CONTEXT)
        if step.kind == Kind.DEPLOY:
            context |= {"SEATRIAL_MODEL_NAME": "flights", "SEATRIAL_MODEL_VERSION": "3", "SEATRIAL_MODEL_URI": inputs["bundle"].uri}
        found[name] = backend.plan(step, job, inputs, code, context, attempt)
    return found
