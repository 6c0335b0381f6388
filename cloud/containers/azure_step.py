"""A step of Seatrial's as an Azure ML command job; every place comes as an argument that the service has put a path into:

    python -m cloud.containers.azure_step --job ${{inputs.seatrial_job}} --code ${{inputs.seatrial_code}} --folder ${{outputs.seatrial_step}}
        [--input dataset=${{inputs.dataset}}]... [--output bundle=${{outputs.bundle}}]...

A mounted store takes whole files: nothing can be appended to one, or renamed over one. So the step works in scratch folders: its own
folder is mirrored (SEATRIAL_STEP_MOUNTED), and each output is copied to its mount after success, the file whose presence is the
commit last. Exit codes are the step's.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloud.containers import running_ray, seatrial_step
from cloud.containers.outputs import scratch
from cloud.containers.stopping import Stopping
from jobs.contracts import storage, versions
from jobs.contracts.errors import InputError, SeatrialError
from jobs.contracts.job import Job, variable
from jobs.control.spec import TRAINING

MOUNTED = "SEATRIAL_STEP_MOUNTED"


def main(argv: Sequence[str] | None = None) -> int:
    given = _arguments(argv)
    stopping = Stopping()
    try:
        return _run(given, stopping, os.environ)
    except SeatrialError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--job", required=True, help="path of job.json")
    parser.add_argument("--code", default="", help="folder with the job's packages")
    parser.add_argument("--folder", required=True, help="the step's folder, mounted")
    parser.add_argument("--input", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--output", action="append", default=[], metavar="NAME=PATH")
    return parser.parse_args(argv)


def _run(given: argparse.Namespace, stopping: Stopping, env: Mapping[str, str]) -> int:
    versions.check(env)
    job_file = _file(given.job)
    job = Job.model_validate_json(storage.read_bytes(job_file))
    inputs, outputs = _places(given.input, job.inputs, "input"), _places(given.output, job.outputs, "output")
    with scratch(outputs) as made:
        told = {seatrial_step.JOB_FILE: job_file, "SEATRIAL_STEP_DIR": given.folder, MOUNTED: "1", "SEATRIAL_CODE": given.code}
        told |= {variable("INPUT", name): path for name, path in inputs.items()} | made.variables()
        environment = {**env, **told}
        environment |= {**seatrial_step.search_path(environment), **_ray(job, env)}
        finished = stopping.run(seatrial_step.command(job, job_file), environment)
        if finished.code == 0:
            made.publish(given.folder)
    return finished.code


def _file(path: str) -> str:
    """An input of one file may be handed over as its folder."""
    found = sorted(Path(path).glob("*.json")) if Path(path).is_dir() else []
    return str(found[0]) if len(found) == 1 else path


def _places(pairs: Sequence[str], names: Sequence[str], what: str) -> dict[str, str]:
    """Errors: InputError when a name of the job has no path."""
    found = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if missing := [name for name in names if name not in found]:
        raise InputError(f"no --{what} for {', '.join(missing)}", where="the command", hint=f"add --{what} {missing[0]}=<path>")
    return found


def _ray(job: Job, env: Mapping[str, str]) -> dict[str, str]:
    """The service starts Ray on every node and the command on the head alone; without one the step starts its own."""
    return running_ray.variables(env) if job.kind in TRAINING else {}


if __name__ == "__main__":
    sys.exit(main())
