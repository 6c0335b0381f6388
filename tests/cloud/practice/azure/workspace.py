"""The Azure front in this process, and a caller that speaks Resource Manager's REST interface."""

from __future__ import annotations

import itertools
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from cloud.practice import azure
from cloud.practice.azure import tokens
from cloud.practice.azure.addresses import WORKSPACE_ID
from cloud.practice.azure.authority import ensure
from cloud.practice.azure.jobs import FINAL
from cloud.practice.inject import Injection
from cloud.practice.serving import Ports
from cloud.practice.settings import Practice
from tests.cloud.practice.service import free_port

IMAGE = "seatrial-ray:0.1.0"
_numbers = itertools.count()


class Workspace:
    """One service over a folder; another over the same folder finds what survives. ``around``: what stands before it."""

    def __init__(self, folder: Path, port: int = 0, around: Callable[[Any], Any] = lambda app: app) -> None:
        self.practice = Practice.open(folder / "practice", 1, 2, port or free_port())
        certificate, key, self.bundle = ensure(self.practice.folder / "tls")
        self.ports = Ports()
        self.ports.asgi(around(azure.create(self.practice)), self.practice.azure_port, (certificate, key))
        azure.resume(self.practice)
        token = tokens.issue("https://management.practice")["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=self.practice.azure_url, verify=ssl.create_default_context(cafile=str(self.bundle)), headers=headers, timeout=30)
        limit = time.monotonic() + 20
        while not self.ports.ready and time.monotonic() < limit:
            time.sleep(0.01)

    def close(self) -> None:
        self.http.close()
        azure.close(self.practice)
        self.practice.executor.close()
        self.ports.close()

    def call(self, method: str, path: str, body: Any = None, code: int = 0) -> Any:
        """The answer's document; ``path`` is below the workspace. With ``code`` 0 anything but an error will do."""
        answer = self.http.request(method, f"{WORKSPACE_ID}/{path}", json=body)
        assert answer.status_code == code or (not code and answer.is_success), answer.text
        return answer.json() if answer.content else {}

    def environment(self, image: str = IMAGE) -> str:
        name = f"env-{next(_numbers)}"
        return str(self.call("PUT", f"environments/{name}/versions/1", {"properties": {"image": image}})["id"])

    def code(self, **files: str) -> str:
        """A code asset; ``train_py`` becomes ``train.py``."""
        name = f"code-{next(_numbers)}"
        upload = self.call("POST", f"codes/{name}/versions/1/startPendingUpload", {})["blobReferenceForConsumption"]
        for file, text in files.items():
            address = upload["credential"]["sasUri"].replace("?", f"/{file.replace('_py', '.py')}?")
            assert self.http.put(address, content=text.encode(), headers={"x-ms-blob-type": "BlockBlob"}).status_code == 201
        return str(self.call("PUT", f"codes/{name}/versions/1", {"properties": {"codeUri": upload["blobUri"]}})["id"])

    def command(self, command: str, **more: Any) -> dict[str, Any]:
        """The properties of a command job."""
        return {"jobType": "Command", "command": command, "environmentId": self.environment(), "computeId": f"{WORKSPACE_ID}/computes/cpu-cluster", **more}

    def submit(self, properties: dict[str, Any], name: str = "") -> str:
        name = name or f"job-{next(_numbers)}"
        self.call("PUT", f"jobs/{name}", {"properties": properties}, 201)
        return name

    def job(self, name: str) -> dict[str, Any]:
        return self.call("GET", f"jobs/{name}")["properties"]  # type: ignore[no-any-return]

    def end(self, name: str, seconds: float = 60) -> dict[str, Any]:
        """The job's properties once it is in a final state."""
        return self.until(lambda: (job := self.job(name))["status"] in FINAL and job, f"{name} to end", seconds)  # type: ignore[no-any-return]

    def until(self, look: Any, what: str, seconds: float = 30) -> Any:
        limit = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < limit, f"waited {seconds} s for {what}"
            time.sleep(0.05)
        return found

    def run(self, command: str, **more: Any) -> dict[str, Any]:
        """Submit a command and wait for its end; the properties have the name and the log as well."""
        name = self.submit(self.command(command, **more))
        return {**self.end(name), "name": name, "log": self.log(name)}

    def logs(self, name: str) -> dict[str, str]:
        scope = f"/history/v1.0{WORKSPACE_ID}/runs/{name}/details"
        return {file: self.http.get(url).text for file, url in self.http.get(scope).json()["logFiles"].items()}

    def log(self, name: str) -> str:
        return "".join(self.logs(name).values())

    def states(self, name: str) -> list[str]:
        return [each["status"] for each in self.job(name)["transitions"]]

    def arm(self, kind: str, **more: Any) -> None:
        self.practice.injections.arm(Injection(kind, "azure", **more))

    def blob(self, path: str, container: str = "azureml-blobstore-practice") -> Path:
        return self.practice.folder / "azure" / "blobs" / container / path
