"""Which bundle a deployment serves, as far as a plan knows."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.contracts.errors import RequestError
from jobs.contracts.job import Job


def bundle_of(job: Job, inputs: Mapping[str, str], context: Mapping[str, str]) -> str:
    """The registered version's, which ``context`` names; without one (a preview) the step's own. ``inputs``: name to URI.

    Errors: RequestError for a step that has neither.
    """
    found = context.get("SEATRIAL_MODEL_URI") or inputs.get("bundle")
    if not found:
        raise RequestError("a deployment needs a bundle to serve", where=f"steps.{job.step}.inputs", hint="add to them: bundle: <training step>.bundle")
    return found
