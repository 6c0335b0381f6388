"""``seatrial run --detach``: a run's driver as a job on the target, so that closing the laptop stops nothing.

The driver is a job like any other: planned, staged, submitted; its handle answers to status, logs and stop.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import yaml

from jobs.contracts import fingerprint
from jobs.contracts.job import Job
from jobs.control import consent, model_inputs, runs, spec_file
from jobs.control.backend import DRIVER, Backend, open_backend
from jobs.control.binding import expected_versions
from jobs.control.handles import Handles
from jobs.control.home import Home
from jobs.control.pipeline import Options
from jobs.control.plan import Plan, Source
from jobs.control.preflight import refuse_if_unfit
from jobs.control.spec import Kind, Pipeline, Resources, Step
from jobs.control.staging import is_on_this_machine, source_of, source_of_code

STEP = "driver"  # its folder: <store>/runs/<run>/driver
_SIZE = Resources(workers=0, cpu=0.5, memory="1Gi")  # MLflow's client is most of it


def start(file: Path, home: Home, options: Options) -> tuple[str, str]:
    """Submit the driver of a new run; returns (run, the driver's handle).

    Errors: SpecError for a wrong job file, what the target says against the job.
    """
    job_file = spec_file.load(file, options.overrides)
    home.create()
    code, digest = home.keep_code((file.parent / job_file.code).resolve())
    backend = open_backend(options.target, home, job_file.targets)
    consent.require(backend, real=options.real)
    run = options.resume or runs.new_id(job_file.name, time.time())
    plan = plan_driver(backend, job_file, file.parent, run, options, source_of_code(code, digest))
    refuse_if_unfit(backend, plan)
    Handles(home).record(plan, job_file.name, DRIVER)
    backend.stage(plan)
    handle = backend.submit(plan)
    Handles(home).moved(plan.handle, handle)
    return run, handle


def plan_driver(backend: Backend, job_file: Pipeline, folder: Path, run: str, options: Options, code: Source) -> Plan:
    sources, places = _local_inputs(job_file, folder)
    params = {"job_file": _frozen(job_file), "inputs": places, "target": options.target, "keep": options.keep}
    step = Step.model_construct(kind=Kind.PIPELINE, resources=_SIZE, inputs=dict.fromkeys(sources, ""), retries=3)
    job = Job(
        pipeline=job_file.name,
        run=run,
        step=STEP,
        kind=Kind.PIPELINE,
        params=params,
        resources=_SIZE.model_dump(mode="json"),
        retries=step.retries,
        inputs=tuple(sources),
        fingerprint=fingerprint.of(params),
    )
    return backend.plan(step, job, sources, code, _context(options.target))


def _context(target: str) -> dict[str, str]:
    tracking = {"MLFLOW_TRACKING_URI": uri} if (uri := os.environ.get("MLFLOW_TRACKING_URI")) else {}
    return tracking | (expected_versions() if target != "local" else {})


def _local_inputs(job_file: Pipeline, folder: Path) -> tuple[dict[str, Source], dict[str, list[str]]]:
    """Inputs that lie on this machine, as inputs of the driver: it finds them where its target has them."""
    sources: dict[str, Source] = {}
    places: dict[str, list[str]] = {}
    for name, step in job_file.steps.items():
        for key, value in step.inputs.items():
            if key in job_file.sources(name) or not is_on_this_machine(value) or model_inputs.is_model(value):
                continue
            own = f"input-{len(sources)}"
            sources[own], places[own] = source_of(value if ":" in value else str((folder / value).resolve())), [name, key]
    return sources, places


def _frozen(job_file: Pipeline) -> str:
    """The job file as it was validated, with its overrides. How this machine reaches a cluster means nothing to a driver inside it."""
    values = job_file.model_dump(mode="json", by_alias=True, exclude_unset=True)
    values.get("targets", {}).get("kubernetes", {}).pop("context", None)
    return yaml.safe_dump(values, sort_keys=False)
