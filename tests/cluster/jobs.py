"""Steps and what belongs to them, for tests that submit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cluster.handles import Handle
from cluster.kubernetes_backend import KubernetesBackend
from jobs.contracts.job import Job
from jobs.control.plan import Plan, Source
from jobs.control.spec import Step

RUN = "parcels-20261124-100000-abcd"
TRAIN: dict[str, Any] = {"kind": "train", "entry": "shop.model:build", "inputs": {}, "outputs": {"bundle": "bundle"}, "resources": {"workers": 2}}
JUDGE: dict[str, Any] = {"kind": "evaluate", "inputs": {}, "outputs": {"report": "report"}}
ETL: dict[str, Any] = {"kind": "etl", "entry": "shop.features:build", "outputs": {"dataset": "dataset"}}


def code(folder: Path, text: str = "def build(): ...\n") -> Source:
    path = folder / "code" / "shop" / "model.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Source(str(folder / "code"), "c" * 64, len(text), 1)


def plan(backend: KubernetesBackend, folder: Path, fields: dict[str, Any] | None = None, *, digest: str = "f" * 64, attempt: int = 1, **inputs: Source) -> Plan:
    """A plan of one step: RayJob by default, a plain Job for JUDGE."""
    step = Step.model_validate({**(fields or TRAIN), "inputs": {name: source.uri for name, source in inputs.items()}})
    job = Job(pipeline="parcels", run=RUN, step=step.kind.value, kind=step.kind, inputs=tuple(inputs), outputs=tuple(step.outputs), fingerprint=digest)
    return backend.plan(step, job, inputs, code(folder), {}, attempt)


def name_of(handle: str) -> str:
    return Handle.parse(handle).name


def submitted(backend: KubernetesBackend, folder: Path, fields: dict[str, object] | None = None) -> str:
    return backend.submit(plan(backend, folder, fields))
