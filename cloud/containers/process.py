"""``process``: the entry point of a SageMaker processing job that runs a step of Seatrial's.

SEATRIAL_JOB_FILE says which (:mod:`cloud.containers.seatrial_step`). A processing job of one's own names its own entry point.
Exit codes: 0 done; anything else fails the job, and ``/opt/ml/output/message`` says why.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from cloud.containers import seatrial_step
from cloud.containers.layout import Layout
from cloud.containers.stopping import Stopping
from cloud.containers.train import guarded
from jobs.contracts.errors import RequestError


def main() -> int:
    return guarded(_process)


def _process(layout: Layout, stopping: Stopping, env: Mapping[str, str]) -> int:
    if seatrial_step.is_meant(env):
        return seatrial_step.run(layout, stopping, env)
    raise RequestError(
        "this container was not told what to do",
        where=str(layout.root / "config" / "processingjobconfig.json"),
        hint=f"set {seatrial_step.JOB_FILE} for a step of Seatrial's, or AppSpecification.ContainerEntrypoint to a command of your own",
    )


if __name__ == "__main__":
    sys.exit(main())
