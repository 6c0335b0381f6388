"""Ray's Jobs API over HTTP (https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html); needs no ray here."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from jobs.contracts.errors import RequestError, RunError, SetupError

TOKEN, TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
_DEFAULT_TOKEN = Path("~/.ray/auth_token")
_NO_AGENT = "No available agent"
_AGENT_HINT = "dashboard_agent.log in Ray's folder says why it is missing; with another Ray on the machine it needs a --dashboard-agent-listen-port of its own"
_STARTING = 60  # seconds for which a head is asked again
_TIMEOUT = 60  # seconds; a busy head answers slowly


class RayClient:
    """One cluster's dashboard, ``http://host:port``."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def versions(self) -> dict[str, str]:
        return {"ray": str(self._json("GET", "/api/version")["ray_version"])}

    def job(self, submission: str) -> dict[str, Any] | None:
        """A job's record; None when the cluster does not know it."""
        try:
            return dict(self._json("GET", f"/api/jobs/{_quoted(submission)}"))
        except _NotFound:
            return None

    def jobs(self) -> list[dict[str, Any]]:
        return list(self._json("GET", "/api/jobs/"))

    def submit(self, body: dict[str, Any]) -> None:
        """Send a job; a head that has just started takes none for some seconds, and says so."""
        deadline = time.monotonic() + _STARTING
        while True:
            try:
                self._json("POST", "/api/jobs/", json.dumps(body).encode(), "application/json")
                return
            except RunError as error:
                if _NO_AGENT not in error.what or time.monotonic() > deadline:
                    raise
            time.sleep(1)

    def stop(self, submission: str) -> None:
        self._json("POST", f"/api/jobs/{_quoted(submission)}/stop")

    def logs(self, submission: str) -> str:
        return str(self._json("GET", f"/api/jobs/{_quoted(submission)}/logs")["logs"])

    def has_package(self, name: str) -> bool:
        try:
            self._send("GET", f"/api/packages/gcs/{name}")
        except _NotFound:
            return False
        return True

    def put_package(self, name: str, content: bytes) -> None:
        self._send("PUT", f"/api/packages/gcs/{name}", content, "application/octet-stream")

    def _json(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Any:
        answer = self._send(method, path, body, kind)
        try:
            return json.loads(answer)
        except ValueError as error:
            raise SetupError("what answers is not a Ray dashboard", where=self.address, hint="check targets.ray.address") from error

    def _send(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        headers = {"Content-Type": kind} if kind else {}
        if token := read_token():
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.address + path, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                return answer.read()  # type: ignore[no-any-return]
        except urllib.error.HTTPError as error:
            raise self._refused(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise SetupError(
                f"no Ray cluster answers: {getattr(error, 'reason', error)}",
                where=self.address,
                hint="is it running (ray status), with its dashboard (pip install 'ray[default]')? check targets.ray.address",
            ) from error

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        if error.code == http.client.NOT_FOUND:
            return _NotFound("the cluster does not know it", where=self.address)
        if error.code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
            given = "the token given is not the cluster's" if read_token() else "the cluster wants a token"
            return SetupError(given, where=self.address, hint=f"export {TOKEN}=… or {TOKEN_PATH}=FILE with the token that the cluster was started with")
        text = error.read().decode(errors="replace").strip()
        last = next((line for line in reversed(text.splitlines()) if line.strip()), f"HTTP {error.code}")
        hint = _AGENT_HINT if _NO_AGENT in last else "the dashboard's log has more"
        return RunError(f"Ray refused the request: {last[:500]}", where=self.address, hint=hint)


class _NotFound(RequestError):
    pass


def read_token() -> str:
    """The cluster's token, from where Ray's own clients take it; empty when there is none."""
    if value := os.environ.get(TOKEN):
        return value
    path = Path(os.environ.get(TOKEN_PATH) or _DEFAULT_TOKEN).expanduser()
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _quoted(submission: str) -> str:
    return urllib.parse.quote(submission, safe="")
