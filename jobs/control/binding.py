"""Binds a step of a job file to one run: what it reads, its fingerprint, its ``job.json``, its import path."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.contracts import dataset, fingerprint
from jobs.contracts.job import Job, Product
from jobs.control.spec import Kind, Pipeline

DEFAULT_ENGINE = "sail"  # on this machine: no JVM to start


@dataclass(frozen=True)
class Binding:
    """A validated job file with its place, its run and its kept code."""

    pipeline: Pipeline
    folder: Path  # of the job file: relative inputs start here
    run: str
    code: Path
    code_digest: str

    def inputs(self, step: str, products: Mapping[str, Mapping[str, Product]]) -> dict[str, Product]:
        """A step's inputs: outputs of earlier steps (``products[step][output]``), or locations with their content's fingerprint."""
        sources, found = self.pipeline.sources(step), {}
        for name, value in self.pipeline.steps[step].inputs.items():
            if name in sources:
                source, output = sources[name]
                found[name] = products[source][output]
            else:
                uri = value if ":" in value else str((self.folder / value).resolve())
                found[name] = Product(uri=uri, fingerprint=fingerprint.of_location(uri))
        return found

    def job(self, name: str, inputs: Mapping[str, Product]) -> Job:
        step = self.pipeline.steps[name]
        resources = step.resources.model_dump(mode="json")
        lasting = {key: value for key, value in step.params.items() if key != "engine"}
        if step.kind == Kind.TRAIN:
            lasting["workers"] = resources["workers"]  # another number of workers makes another model
        digests = {key: product.fingerprint for key, product in inputs.items()}
        digest = fingerprint.of_step(kind=step.kind, entry=step.entry, code=self.code_digest, params=lasting, inputs=digests, contract=dataset.CONTRACT)
        return Job(
            pipeline=self.pipeline.name,
            run=self.run,
            step=name,
            kind=step.kind,
            entry=step.entry,
            params=step.params,
            resources=resources,
            checkpoint=step.checkpoint.model_dump(mode="json"),
            retries=step.retries,
            inputs=tuple(inputs),
            outputs=tuple(step.outputs),
            fingerprint=digest,
            input_fingerprints=digests,
        )

    def environment(self, name: str) -> dict[str, str]:
        """Variables of a step's process that do not depend on what else runs."""
        path = os.pathsep.join([str(self.code), *filter(None, [os.environ.get("PYTHONPATH")])])
        engine = str(self.pipeline.steps[name].params.get("engine", DEFAULT_ENGINE))
        return {"SEATRIAL_CODE": str(self.code), "PYTHONPATH": path, "SEATRIAL_ENGINE": engine}
