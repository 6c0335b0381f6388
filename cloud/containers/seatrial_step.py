"""A step of Seatrial's in a SageMaker container: the same ``python -m <module> --job <job.json>`` as on every target.

    SEATRIAL_JOB_FILE   job.json, a path or a URI; its presence says that this is such a step
    SEATRIAL_STEP_DIR   the step's folder in the store
    SEATRIAL_CODE       the job's packages, as a channel or an input brought them

What the entry point adds: PYTHONPATH, Ray across the hosts, the bundle in ``/opt/ml/model``, and the reason of a failure.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from cloud.containers import peers, ray_node
from cloud.containers.layout import Layout
from cloud.containers.meeting import Meeting
from cloud.containers.outputs import scratch
from cloud.containers.stopping import Finished, Stopping
from jobs.contracts import bundle as bundles
from jobs.contracts import storage, versions
from jobs.contracts.errors import InputError, SeatrialError, SpecError
from jobs.contracts.job import ERROR, Job, home_of, variable
from jobs.control.backend import MODULES
from jobs.control.spec import TRAINING

JOB_FILE = "SEATRIAL_JOB_FILE"
_TRAIN, _ETL = "train", "etl"


def is_meant(env: Mapping[str, str] = os.environ) -> bool:
    return bool(env.get(JOB_FILE))


def run(layout: Layout, stopping: Stopping, env: Mapping[str, str] = os.environ) -> int:
    """The container's exit code.

    Errors: SeatrialError for what is wrong before the step itself begins.
    """
    versions.check(env)  # before anything else: another version may not even read this job file
    job = Job.model_validate_json(storage.read_bytes(env[JOB_FILE]))
    hosts, meeting = layout.hosts(), Meeting(home_of(env[JOB_FILE], env))
    environment = {**env, **search_path(env), **ray_node.interface(layout.resources(), env)}
    together = len(hosts) > 1 and job.kind in TRAINING and _workers(job) > 0
    cores = peers.cores_per_host(job, hosts)
    if not hosts.is_head:
        if together:
            return peers.follow(hosts, meeting, cores, environment, stopping)
        print(f"a step of kind {job.kind} runs on one host, {hosts.head}; nothing to do on {hosts.current}", flush=True)
        return 0
    with ExitStack() as stack:
        if together:
            environment |= stack.enter_context(peers.led(hosts, meeting, cores, environment, stopping))
        made = stack.enter_context(scratch(_worked_on_here(job, env)))
        finished = stopping.run(command(job, env[JOB_FILE]), environment | made.variables())
        if finished.code == 0:
            made.publish(home_of(env[JOB_FILE], env))
    if finished.code:
        layout.fail(reason(env, finished))
    elif job.kind == _TRAIN:
        _keep_model(job, layout, env)
    return finished.code


def command(job: Job, job_file: str) -> list[str]:
    """Errors: SpecError for a kind that this version does not know."""
    if job.kind not in MODULES:
        raise SpecError(f"no module for a step of kind {job.kind!r}", where=job_file, hint=f"known kinds: {', '.join(MODULES)}")
    return [sys.executable, "-m", MODULES[job.kind], "--job", job_file]


def search_path(env: Mapping[str, str]) -> dict[str, str]:
    """The job's packages come first, on every host."""
    code = env.get("SEATRIAL_CODE", "")
    return {"PYTHONPATH": os.pathsep.join([code, env["PYTHONPATH"]] if env.get("PYTHONPATH") else [code])} if code else {}


def reason(env: Mapping[str, str], finished: Finished) -> str:
    """Why a step failed: its own sentence where it left one, else the last it said."""
    home = home_of(env[JOB_FILE], env)
    try:
        error = json.loads(storage.read_bytes(storage.join(home, ERROR)))
        return str(SeatrialError(error["what"], where=error.get("where", ""), hint=error.get("hint", "")))
    except (SeatrialError, ValueError, KeyError):
        last = finished.said.splitlines()[-1:] or ["it said nothing"]
        return f"the step ended with exit code {finished.code}: {last[0]}"


def _worked_on_here(job: Job, env: Mapping[str, str]) -> dict[str, str]:
    """Outputs of an ETL in an object store: no engine writes there by itself (Spark lacks Hadoop's jars for it)."""
    if job.kind != _ETL:
        return {}
    return {name: uri for name in job.outputs if not storage.is_local(uri := env.get(variable("OUTPUT", name), ""))}


def _workers(job: Job) -> int:
    workers = job.resources.get("workers", 1)
    return int(workers["max"] if isinstance(workers, dict) else workers)


def _keep_model(job: Job, layout: Layout, env: Mapping[str, str]) -> None:
    """Copy the bundle to where SageMaker makes ``model.tar.gz`` of it."""
    for name in job.outputs:
        uri = env.get(variable("OUTPUT", name), "")
        try:
            if uri and not Path(uri).is_relative_to(layout.model):
                storage.copy_folder(uri, str(layout.model), last=bundles.BUNDLE)
        except InputError as error:
            raise InputError("the step published nothing there", where=uri, hint="read the log of the step") from error
