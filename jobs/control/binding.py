"""Binds a step of a job file to one run: what it reads, its fingerprint, its ``job.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.contracts import dataset, fingerprint
from jobs.contracts.job import Job, Product
from jobs.control import model_inputs
from jobs.control.model_inputs import Models
from jobs.control.plan import Source
from jobs.control.spec import Kind, Pipeline
from jobs.control.staging import source_of


@dataclass(frozen=True)
class Binding:
    """A validated job file with its place, its run and its code."""

    pipeline: Pipeline
    folder: Path  # of the job file: relative inputs start here
    run: str
    code: Source
    models: Models | None = None  # None = a registered model stays a name, as in a plan that is only looked at

    def inputs(self, step: str, products: Mapping[str, Mapping[str, Product]]) -> dict[str, Source]:
        """A step's inputs: outputs of earlier steps (``products[step][output]``), or locations with their content's fingerprint."""
        sources, found = self.pipeline.sources(step), {}
        for name, value in self.pipeline.steps[step].inputs.items():
            if name in sources:
                source, output = sources[name]
                product = products[source][output]
                found[name] = Source(product.uri, product.fingerprint)
            else:
                found[name] = self.located(value)
        return found

    def located(self, value: str) -> Source:
        """A location as the job file writes it: beside the file, anywhere else, or a registered model."""
        if model_inputs.is_model(value):
            return self.models.source(value) if self.models else model_inputs.named(value)
        return source_of(value if ":" in value else str((self.folder / value).resolve()))

    def job(self, name: str, inputs: Mapping[str, Source]) -> Job:
        step = self.pipeline.steps[name]
        resources = step.resources.model_dump(mode="json")
        lasting = {key: value for key, value in step.params.items() if key != "engine"}
        if step.kind == Kind.TRAIN:
            lasting["workers"] = resources["workers"]  # another number of workers makes another model
        digests = {key: source.fingerprint for key, source in inputs.items()}
        digest = fingerprint.of_step(kind=step.kind, entry=step.entry, code=self.code.fingerprint, params=lasting, inputs=digests, contract=dataset.CONTRACT)
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


def expected_versions() -> dict[str, str]:
    """The variable by which a job on another machine finds out, in its first second, that it runs other versions."""
    from jobs.contracts.versions import installed

    return {"SEATRIAL_EXPECT_VERSIONS": json.dumps(installed(), sort_keys=True)}
