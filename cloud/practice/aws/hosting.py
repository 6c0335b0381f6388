"""A serving container at work: model data unpacked, ``serve`` started, ``/ping`` answered, ``/invocations`` reached.

One process stands for all instances of a variant. It is told its port by ``SAGEMAKER_BIND_TO_PORT``; a container that insists on 8080 is
found there when nothing else was listening.
"""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.practice.aws import archives, containers, models
from cloud.practice.aws.jobs import Failed
from cloud.practice.aws.service import Service
from cloud.practice.aws.store import Document
from cloud.practice.hosts import Run
from cloud.practice.ports import free_port, listens

_PING = 2.0  # seconds that /ping may take
_CALL = 60.0  # seconds that /invocations may take
_TERM = 30.0  # seconds between SIGTERM and SIGKILL of a serving container
_ANY = 8080
_PART = 64 * 1024  # bytes of a stream's part at most


@dataclass(frozen=True)
class Reply:
    """``parts``: of a body that is still being made, as it comes."""

    status: int
    headers: dict[str, str]
    body: bytes
    parts: Iterator[bytes] | None = None


class Container:
    """Of one model. Use :meth:`start`, :meth:`wait_ready`, :meth:`invoke`, :meth:`stop`."""

    def __init__(self, service: Service, region: str, name: str, folder: Path, model: Document) -> None:
        self._service, self._region, self._name, self._folder, self._model = service, region, name, folder, model
        self._run: Run | None = None
        self._ports: list[int] = []
        self._address = "127.0.0.1"

    def start(self, on_line: Callable[[str, str], None], more: dict[str, str] | None = None) -> None:
        """Errors: Failed when image or model data cannot be had."""
        every = models.containers_of(self._service, self._region, self._model)
        if len(every) > 1:
            raise Failed("practice serves models of one container; inference pipelines are not built")
        container = every[0]
        image = self._service.practice.images.find(container["Image"])
        if image is None:
            raise Failed(f"Failed to pull image {container['Image']}")
        ml = self._folder / "algo-1" / "ml"
        if uri := models.artefact(container):
            archives.unpack(self._service, uri, ml / "model")
        (ml / "model").mkdir(parents=True, exist_ok=True)
        port = free_port()
        self._ports = [port] if listens(_ANY) else [port, _ANY]
        environment = {
            "SAGEMAKER_BIND_TO_PORT": str(port),
            **containers.variables(self._service, self._region),
            **container.get("Environment", {}),
            **(more or {}),
        }
        group = containers.group(self._service, self._name, self._folder, image, ["serve"], environment, ["algo-1"], grace=_TERM)
        self._run = self._service.practice.executor.start(group, on_line)

    @property
    def log(self) -> Path:
        return self._folder / "logs" / "algo-1.txt"

    @property
    def is_alive(self) -> bool:
        return self._run is not None and self._run.is_alive

    def wait_ready(self, seconds: float, given_up: Callable[[], bool] = lambda: False) -> None:
        """Until ``/ping`` answers 200.

        Errors: Failed when the container ends, or does not answer in time.
        """
        limit = time.monotonic() + seconds
        while not given_up():
            for port in self._ports:
                if self._request("GET", port, "/ping", {}, None, _PING).status == 200:
                    self._ports = [port]
                    return
            if not self.is_alive:
                raise Failed(
                    "The primary container for production variant did not pass the ping health check: it ended. Please check CloudWatch logs for this endpoint."
                )
            if time.monotonic() > limit:
                raise Failed("The primary container for production variant did not pass the ping health check. Please check CloudWatch logs for this endpoint.")
            time.sleep(0.1)

    def invoke(self, headers: dict[str, str], body: bytes, seconds: float = _CALL) -> Reply:
        """``POST /invocations``; status 0 when nothing answered."""
        return self._request("POST", self._ports[0], "/invocations", headers, body, seconds)

    def stream(self, headers: dict[str, str], body: bytes) -> Reply:
        """The same; the parts of a good answer as they arrive."""
        return self._request("POST", self._ports[0], "/invocations", headers, body, _CALL, streaming=True)

    def parameters(self) -> Reply:
        return self._request("GET", self._ports[0], "/execution-parameters", {}, None, _PING)

    def _request(self, method: str, port: int, path: str, headers: dict[str, str], body: bytes | None, seconds: float, *, streaming: bool = False) -> Reply:
        request = urllib.request.Request(f"http://{self._address}:{port}{path}", body, headers, method=method)
        try:
            answer = urllib.request.urlopen(request, timeout=seconds)
            told = {key.lower(): value for key, value in answer.headers.items()}
            if streaming:
                return Reply(answer.status, told, b"", _parts(answer))
            with answer:
                return Reply(answer.status, told, answer.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, {key.lower(): value for key, value in error.headers.items()}, error.read())
        except OSError:
            return Reply(0, {}, b"")

    def stop(self) -> None:
        if self._run is not None:
            self._run.stop()

    def remove(self) -> None:
        """Wait until it has ended, and remove the host's disk."""
        if self._run is not None:
            self._run.wait(_TERM + 5)
        shutil.rmtree(self._folder / "algo-1", ignore_errors=True)


def _parts(answer: Any) -> Iterator[bytes]:
    with answer:
        while part := answer.read1(_PART):
            yield part
