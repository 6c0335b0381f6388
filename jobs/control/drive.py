"""``python -m jobs.control.drive --job job.json``: a pipeline's driver as a job of its own, on the target (``seatrial run --detach``).

    params   job_file   the job file's text, overrides applied; its local inputs are this job's inputs
             inputs     {input of this job: [step, input]}
             target     where the steps run; keep   leave the service up

The home is the store that this job's folder lies in: ``<home>/runs/<run>/driver``.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import yaml

from jobs.contracts.entrypoint import run_step
from jobs.contracts.errors import RunError
from jobs.contracts.job import Context, StepResult
from jobs.contracts.states import JobState
from jobs.control import pipeline
from jobs.control.home import Home

log = logging.getLogger(__name__)


class Reported:
    """Progress of the steps, as the driver's own; also in its log, which is what a terminal far away follows."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def update(self, step: str, state: JobState, message: str = "", fraction: float | None = None, seconds: float | None = None) -> None:
        self.note(f"{step} {state.lower()}{': ' if message else ''}{message}")

    def note(self, text: str) -> None:
        log.info(text)
        self._context.report(text)

    def close(self) -> None:
        return


def drive(context: Context) -> StepResult:
    """Drive a run from the target itself."""
    params = context.job.params
    home = Home(context.folder.parents[2])
    file = _job_file(context)
    options = pipeline.Options(target=params["target"], keep=bool(params.get("keep")), run_id=context.job.run, progress=Reported(context))
    record = pipeline.run(file, home, options)
    if record.state != JobState.SUCCEEDED:
        raise RunError(f"the run ended as {record.state}", where=record.run)
    outputs = {f"{name}.{key}": product for name, step in record.steps.items() for key, product in step.outputs.items()}
    return StepResult(outputs=outputs, summary={"run": record.run, "model_version": record.model_version})


def _job_file(context: Context) -> Path:
    """The job file with the places that this target gave its inputs and code."""
    values = yaml.safe_load(context.job.params["job_file"])
    values["code"] = str(_code_folder(Path(context.code).absolute()))
    for name, (step, key) in context.job.params["inputs"].items():
        values["steps"][step]["inputs"][key] = context.inputs[name]
    path = context.folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def _code_folder(code: Path) -> Path:
    """A mounted ConfigMap shows its files as links beside the kubelet's own folders; they lie in the one that ``..data`` means now."""
    current = code / "..data"
    return current.resolve() if current.is_dir() else code


if __name__ == "__main__":
    sys.exit(run_step(drive))
