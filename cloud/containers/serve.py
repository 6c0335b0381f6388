"""``serve``: what a hosting service starts in a container (``docker run IMAGE serve``), on both clouds.

                 the bundle                              the port
    SageMaker    /opt/ml/model                           SAGEMAKER_BIND_TO_PORT, else 8080
    Azure ML     AZUREML_MODEL_DIR, or one folder below  AZUREML_SERVER_PORT, else 5001

SEATRIAL_MODEL_NAME and SEATRIAL_MODEL_VERSION are what answers call the model. This process becomes the server (``serve.standalone``),
so that SIGTERM reaches it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from cloud.containers.addresses import is_practice
from cloud.containers.layout import Layout
from jobs.contracts.bundle import BUNDLE
from jobs.contracts.errors import InputError, SeatrialError

AZURE_FOLDER = "AZUREML_MODEL_DIR"
SAGEMAKER_PORT, AZURE_PORT = "8080", "5001"
_DEEPEST = 2  # folders below the model's own in which a bundle is looked for


def main(env: Mapping[str, str] = os.environ) -> int:
    try:
        os.execv(sys.executable, command(env))  # noqa: S606 # it takes this process's place, so that signals reach it
    except SeatrialError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def command(env: Mapping[str, str]) -> list[str]:
    """The server's argv.

    Errors: InputError when there is no bundle, or more than one.
    """
    azure = AZURE_FOLDER in env
    folder = Path(env[AZURE_FOLDER]) if azure else Layout.here(env).model
    port = env.get("AZUREML_SERVER_PORT") or AZURE_PORT if azure else env.get("SAGEMAKER_BIND_TO_PORT") or SAGEMAKER_PORT
    host = "127.0.0.1" if is_practice(env) else "0.0.0.0"  # noqa: S104 # a container is reached from outside
    words = [sys.executable, "-m", "serve.standalone", "--bundle", str(bundle_below(folder)), "--host", host, "--port", port]
    named = {"--name": env.get("SEATRIAL_MODEL_NAME"), "--version": env.get("SEATRIAL_MODEL_VERSION")}
    return [*words, *(word for option, value in named.items() if value for word in (option, value))]


def bundle_below(folder: Path) -> Path:
    """Where ``bundle.json`` lies: in the folder, or not far below, as an archive or a model asset may have a folder of its own."""
    for depth in range(_DEEPEST + 1):
        found = sorted(path.parent for path in folder.glob("/".join(["*"] * depth + [BUNDLE])))
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(f"there are {len(found)} bundles", where=str(folder), hint="serve one model from each container")
    there = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) if folder.is_dir() else ""
    raise InputError(
        f"there is no bundle: the folder holds {there or 'nothing'}",
        where=str(folder),
        hint="the model's data are the files of a bundle that a train step made",
    )


if __name__ == "__main__":
    sys.exit(main())
