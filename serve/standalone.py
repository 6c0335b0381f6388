"""Serves one bundle without Ray and without a registry, as a cloud's container does.

    python -m serve.standalone --bundle FOLDER [--host 127.0.0.1] [--port 8080] [--name NAME] [--version VERSION] [--workers N]

The application is :mod:`serve.asgi`'s. Nothing is followed: another model is another container. A bundle that does not load ends the
process with a sentence, so that the service around it does not wait for a container that can never answer.

    GET /execution-parameters    what SageMaker's batch transform asks before it begins

``--workers`` processes share the port (default: SAGEMAKER_MODEL_SERVER_WORKERS, else 1). Exit codes: 0 after SIGTERM, 1 failed,
2 wrong request.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.contracts import bundle as bundles
from jobs.contracts.errors import EXIT_DONE, RequestError, SeatrialError
from jobs.control.registry_reader import ModelVersion
from serve.answers import Receive, Scope, Send, json_answer, send_answer
from serve.asgi import Application
from serve.model import LoadedModel
from serve.seam import Scored

PORT = 8080
_AT_ONCE = 4  # requests that a transform job should send to each worker at a time
_GRACE = 20  # seconds for requests under way when SIGTERM comes; SageMaker kills after 30
_BUNDLE, _NAME, _VERSION, _WORKERS = "SEATRIAL_BUNDLE", "SEATRIAL_MODEL_NAME", "SEATRIAL_MODEL_VERSION", "SAGEMAKER_MODEL_SERVER_WORKERS"


class Fixed:
    """A model that never changes, as :class:`serve.seam.Traffic`."""

    problem = ""

    def __init__(self, model: LoadedModel) -> None:
        self.name, self.live = model.name, model

    def choose(self, request_id: str) -> LoadedModel:
        return self.live

    def by_version(self, version: str) -> LoadedModel | None:
        return self.live if version == self.live.version else None

    def after(self, scored: Scored) -> None:
        pass

    def state(self) -> dict[str, Any]:
        return {}

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


class Standalone:
    """The application of one bundle, with the path that only a container has."""

    def __init__(self, app: Application, workers: int = 1) -> None:
        self._app = app
        self._parameters = {"MaxConcurrentTransforms": _AT_ONCE * workers, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": app.settings.body_mib}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/execution-parameters" and scope["method"] in ("GET", "HEAD"):
            await send_answer(send, json_answer(self._parameters), body=scope["method"] == "GET")
        else:
            await self._app(scope, receive, send)


def load(bundle: str, name: str = "", version: str = "", workers: int = 1) -> Standalone:
    """The application with its model live.

    Errors: InputError when there is no bundle, IntegrityError when it does not load.
    """
    described = bundles.load(bundle, verify_files=False)  # they are verified where the model is loaded
    model = LoadedModel(ModelVersion(name or described.name, version or "1", bundle, described.fingerprint))
    return Standalone(Application(Fixed(model)), workers)


def build() -> Standalone:
    """For uvicorn's worker processes, which know only the environment."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    return load(os.environ[_BUNDLE], os.environ.get(_NAME, ""), os.environ.get(_VERSION, ""), int(os.environ.get(_WORKERS) or 1))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--bundle", required=True, help="folder with bundle.json")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--name", default=os.environ.get(_NAME, ""), help="what answers call the model (default: the bundle's own name)")
    parser.add_argument("--version", default=os.environ.get(_VERSION, ""), help="what answers call its version (default: 1)")
    parser.add_argument("--workers", type=int, default=int(os.environ.get(_WORKERS) or 1))
    given = parser.parse_args(argv)
    # uvicorn raises the signal that ended it once more, after its own shutdown.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_DONE))
    try:
        return _serve(given)
    except SeatrialError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _serve(given: argparse.Namespace) -> int:
    import uvicorn

    if given.workers < 1:
        raise RequestError(f"{given.workers} workers serve nothing", where="--workers", hint="give at least 1")
    os.environ |= {_BUNDLE: str(Path(given.bundle).absolute()), _NAME: given.name, _VERSION: given.version, _WORKERS: str(given.workers)}
    one = given.workers == 1
    app = build()  # with several workers too: a broken bundle must end the container and not each worker again and again
    print(f"serving {given.bundle} on {given.host}:{given.port}", file=sys.stderr, flush=True)
    uvicorn.run(
        app if one else "serve.standalone:build",
        factory=not one,
        workers=given.workers,
        host=given.host,
        port=given.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=75,  # seconds; longer than the load balancers of both clouds keep a connection idle
    )
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
