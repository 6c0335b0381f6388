"""Plans a whole job file before anything exists: each step's inputs are where the earlier plans will put them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jobs.contracts import fingerprint
from jobs.contracts.errors import SpecError
from jobs.contracts.job import Product
from jobs.control import spec_file
from jobs.control.backend import open_backend
from jobs.control.binding import Binding
from jobs.control.home import Home
from jobs.control.plan import Plan
from jobs.control.staging import source_of_code

RUN = "preview"


def preview(file: Path, home: Home, target: str, overrides: Sequence[str] = ()) -> list[Plan]:
    """One plan per step, in running order, under the run id ``preview``. Writes nothing."""
    pipeline = spec_file.load(file, overrides)
    backend = open_backend(target, home, pipeline.targets)
    folder = (file.parent / pipeline.code).resolve()
    if not folder.is_dir():
        raise SpecError("the code folder does not exist", where=str(folder), hint="`code` is relative to the job file")
    binding = Binding(pipeline, file.parent, RUN, source_of_code(folder, fingerprint.of_code(folder)))
    plans: list[Plan] = []
    products: dict[str, dict[str, Product]] = {}
    for name in pipeline.order():
        inputs = binding.inputs(name, products)
        job = binding.job(name, inputs)
        plan = backend.plan(pipeline.steps[name], job, inputs, binding.code, {})
        products[name] = {output: Product(uri=uri, fingerprint=job.fingerprint) for output, uri in plan.outputs.items()}
        plans.append(plan)
    return plans
