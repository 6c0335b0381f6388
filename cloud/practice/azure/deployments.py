"""A deployment at work: the model mounted, the image's server or the scoring script started, its probes answered.

One process stands for all instances. It is told a free port by ``AZUREML_SERVER_PORT``; a container that insists on the port of its
routes is found there when nothing else was listening.
"""

from __future__ import annotations

import os
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.practice.azure import seeds
from cloud.practice.azure.checks import mapping
from cloud.practice.azure.documents import Document
from cloud.practice.azure.places import Places, location
from cloud.practice.hosts import Host, HostGroup, Limits, Run
from cloud.practice.images import Image
from cloud.practice.ports import free_port, listens
from cloud.practice.settings import Practice

MODELS = "/var/azureml-app/azureml-models"
_APP = "/var/azureml-app"
_START = 240.0  # seconds until the readiness probe must have answered
_PROBE = 2.0  # seconds
_TERM = 30.0  # seconds between SIGTERM and SIGKILL
_SERVER = Path(__file__).with_name("score_server.py")
_DEFAULT = {"livenessRoute": "/", "readinessRoute": "/", "scoringRoute": "/score"}
_MODELLESS = ("azureml-model-deployment", "authorization", "host", "content-length", "connection", "transfer-encoding", "accept-encoding")


class DeploymentFailed(Exception):
    """``code``: the service's own, such as ImageBuildFailure and ResourceNotReady."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Reply:
    """Status 0: nothing answered."""

    status: int
    headers: dict[str, str]
    body: bytes


class Deployment:
    def __init__(self, practice: Practice, places: Places, root: Path, endpoint: str, name: str, properties: Document) -> None:
        self._practice, self._places, self._properties = practice, places, properties
        self.endpoint, self.name = endpoint, name
        self.folder = root / "endpoints" / endpoint / name
        self.log = self.folder / "container.log"
        self._run: Run | None = None
        self._ports: list[int] = []
        environment = places.asset(properties["environmentId"], "environments") if properties.get("environmentId") else None
        self._environment: dict[str, Any] = environment["properties"] if environment else {}

    def start(self) -> None:
        """Errors: DeploymentFailed when image, model or script cannot be had."""
        image = self._image()
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        mounts, model = self._model()
        port = free_port()
        fixed = int(self._route("scoringRoute").get("port") or 0)
        self._ports = [port] if not fixed or listens(fixed) else [port, fixed]
        script = mapping(self._properties, "codeConfiguration")
        variables = {
            **image.variables(),
            **mapping(self._environment, "environmentVariables"),
            **model,
            **seeds.way_here(self._practice),
            "AZUREML_SERVER_PORT": str(port),
            "AZUREML_ENTRY_SCRIPT": script.get("scoringScript", ""),
            **{key: str(value) for key, value in mapping(self._properties, "environmentVariables").items()},
        }
        command = self._script(image, work, script, port) if script else (_program(image),)
        host = Host("instance-0", self._practice.executor.addresses(1)[0], command, variables, work, mounts, self.log)
        limits = Limits(self._practice.limits.cpu, self._practice.limits.memory, 0, _TERM)
        self._run = self._practice.executor.start(HostGroup(f"{self.endpoint}/{self.name}", (host,), limits))

    def _image(self) -> Image:
        name = self._environment.get("image") or ""
        image = self._practice.images.find(name) if name else None
        if image is None:
            there = ", ".join(self._practice.images.names())
            raise DeploymentFailed(
                "ImageBuildFailure", f"Image {name or '(a build)'} is not there. Practice has {there}; `seatrial practice image add` registers another."
            )
        return image

    def _model(self) -> tuple[dict[str, Path], dict[str, str]]:
        reference = self._properties.get("model")
        if not reference:
            return {}, {}
        asset = self._places.asset(reference, "models")
        place = self._places.find(location(asset)) if asset else self._places.find(reference)
        name, version = (asset["id"].split("/")[-3], asset["name"]) if asset else ("model", "1")
        if not place.exists:
            raise DeploymentFailed("ModelNotFound", f"Failed to download the model: '{reference}' is not there.")
        inside = f"{MODELS}/{name}/{version}"
        held = self.folder / "model"
        shutil.rmtree(held, ignore_errors=True)
        held.mkdir(parents=True)
        if place.path.is_dir():
            shutil.copytree(place.path, held / place.path.name)
        else:
            shutil.copy2(place.path, held / place.path.name)
        return {inside: held}, {"AZUREML_MODEL_DIR": inside}

    def _script(self, image: Image, work: Path, given: dict[str, Any], port: int) -> tuple[str, ...]:
        asset = self._places.asset(given["codeId"], "codes") if given.get("codeId") else None
        if asset:
            source = self._places.find(location(asset)).path
            shutil.copytree(source if source.is_dir() else source.parent, work, dirs_exist_ok=True)
        script = work / given.get("scoringScript", "score.py")
        if not script.is_file():
            raise DeploymentFailed("BadArgument", f"The scoring script '{given.get('scoringScript')}' is not in the code.")
        return (image.python, str(_SERVER), str(script), "127.0.0.1", str(port))

    def _route(self, name: str) -> dict[str, Any]:
        return mapping(mapping(self._environment, "inferenceConfig"), name)

    def _path(self, name: str) -> str:
        own = self._route(name).get("path")
        return str(own) if own and not self._properties.get("codeConfiguration") else _DEFAULT[name]

    def wait_ready(self, seconds: float = _START) -> None:
        """Until the readiness route answers 200.

        Errors: DeploymentFailed when the container ends or does not answer in time.
        """
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            for port in self._ports:
                if self._request("GET", port, self._path("readinessRoute"), {}, None, _PROBE).status == 200:
                    self._ports = [port]
                    return
            if self._run is None or not self._run.is_alive:
                raise DeploymentFailed(
                    "ResourceNotReady",
                    "User container has crashed or terminated. Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-resourcenotready",
                )
            time.sleep(0.1)
        raise DeploymentFailed("ResourceNotReady", f"The readiness probe {self._path('readinessRoute')} did not answer 200 within {seconds:g} seconds.")

    @property
    def is_alive(self) -> bool:
        return self._run is not None and self._run.is_alive

    def score(self, body: bytes, headers: dict[str, str], seconds: float) -> Reply:
        passed = {key: value for key, value in headers.items() if key.lower() not in _MODELLESS}
        return self._request("POST", self._ports[0], self._path("scoringRoute"), passed, body, seconds)

    def _request(self, method: str, port: int, path: str, headers: dict[str, str], body: bytes | None, seconds: float) -> Reply:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return Reply(answer.status, dict(answer.headers.items()), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, dict(error.headers.items()), error.read())
        except OSError:
            return Reply(0, {}, b"")

    def stop(self) -> None:
        if self._run is not None:
            self._run.stop()
            self._run.wait(_TERM + 5)

    def kill(self) -> None:
        if self._run is not None:
            self._run.kill()


def _program(image: Image) -> str:
    """What the image starts without a command of its own: ``serve``, by its whole path."""
    found = shutil.which("serve", path=image.variables()["PATH"])
    if not found:
        raise DeploymentFailed(
            "BadArgument", f"Image {image.name} has no program `serve`: give --bin to `seatrial practice image add`, or a scoring script to the deployment."
        )
    return os.path.abspath(found)
