"""Plans a whole job file before anything exists: each step's inputs are where the earlier plans will put them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jobs.contracts import fingerprint
from jobs.contracts.job import Product
from jobs.control import spec_file
from jobs.control.backend import open_backend
from jobs.control.binding import Binding
from jobs.control.home import Home
from jobs.control.plan import Plan

RUN = "preview"


def preview(file: Path, home: Home, target: str, overrides: Sequence[str] = ()) -> list[Plan]:
    """One plan per step, in running order, under the run id ``preview``. Writes nothing."""
    pipeline = spec_file.load(file, overrides)
    digest = fingerprint.of_code((file.parent / pipeline.code).resolve())
    binding = Binding(pipeline, file.parent, RUN, home.code(digest), digest)
    backend = open_backend(target, home)
    plans: list[Plan] = []
    products: dict[str, dict[str, Product]] = {}
    for name in pipeline.order():
        inputs = binding.inputs(name, products)
        job = binding.job(name, inputs)
        plan = backend.plan(pipeline.steps[name], job, {key: product.uri for key, product in inputs.items()}, binding.environment(name))
        products[name] = {output: Product(uri=uri, fingerprint=job.fingerprint) for output, uri in plan.outputs.items()}
        plans.append(plan)
    return plans
