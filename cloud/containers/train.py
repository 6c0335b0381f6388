"""``train``: what SageMaker starts in a training container (``docker run IMAGE train``).

    SEATRIAL_JOB_FILE in the environment             a step of Seatrial's (:mod:`cloud.containers.seatrial_step`)
    sagemaker_program among the hyperparameters      the user's script (:mod:`cloud.containers.script`)

Exit codes: 0 done; anything else fails the job, and ``/opt/ml/output/failure`` says why. SIGTERM is passed on; what has not ended
110 s later is killed.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping

from cloud.containers import script, seatrial_step
from cloud.containers.layout import Layout
from cloud.containers.stopping import Stopping
from jobs.contracts.errors import EXIT_FAILED, RequestError, SeatrialError


def main() -> int:
    return guarded(_train)


def _train(layout: Layout, stopping: Stopping, env: Mapping[str, str]) -> int:
    if seatrial_step.is_meant(env):
        return seatrial_step.run(layout, stopping, env)
    if script.is_meant(layout, env):
        return script.run(layout, stopping, env)
    raise RequestError(
        "this container was not told what to train",
        where=str(layout.config / "hyperparameters.json"),
        hint="set the hyperparameter sagemaker_program to a script (and sagemaker_submit_directory to its archive in S3, or bring it in a channel `code`); "
        f"Seatrial's own steps set {seatrial_step.JOB_FILE}",
    )


def guarded(work: Callable[[Layout, Stopping, Mapping[str, str]], int]) -> int:
    """The container's exit code; whatever goes wrong leaves its reason where the cloud looks for it."""
    layout, stopping = Layout.here(), Stopping()
    try:
        return work(layout, stopping, os.environ)
    except SeatrialError as error:
        layout.fail(str(error))
        return error.exit_code
    except Exception as error:  # the edge: whatever it is, the job's description must have a sentence
        traceback.print_exc()
        layout.fail(f"{type(error).__name__}: {error}")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
