"""The variables that tell a step's process where its places are: the same names on every target."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.contracts.job import variable
from jobs.control.spec import Step

SAIL, SPARK = "sail", "spark"


def engine_of(step: Step, default: str) -> str:
    """The ETL engine: what the job file says, else the target's own."""
    return str(step.params.get("engine", default))


def place_variables(inputs: Mapping[str, str], outputs: Mapping[str, str], *, folder: str, code: str, engine: str) -> dict[str, str]:
    places = {variable("INPUT", name): uri for name, uri in inputs.items()} | {variable("OUTPUT", name): uri for name, uri in outputs.items()}
    return {**places, "SEATRIAL_STEP_DIR": folder, "SEATRIAL_CODE": code, "SEATRIAL_ENGINE": engine}
