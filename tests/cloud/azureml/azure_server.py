"""Azure on a bad day: the practice workspace in this process, in front of which a test says what some requests are answered with."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloud.practice import environment
from tests.cloud.practice.azure.workspace import Workspace

LOST = "lost"  # the request is carried out, and its answer never arrives
App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]
_WORKSPACE = "/workspaces/practice/"


class BadDay:
    """``answers["PUT jobs"]``: what is answered, in order, the last one for ever: ``(status, code, message)``, LOST or None for the service's own."""

    def __init__(self, folder: Path) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[str] = []  # "PUT jobs/<name>"
        self.workspace = Workspace(folder, around=self._around)

    @property
    def variables(self) -> dict[str, str]:
        practice = self.workspace.practice
        return environment.variables({"aws": practice.aws_url, "azure": practice.azure_url}, practice.folder)

    def count(self, what: str) -> int:
        return sum(each.startswith(what) for each in self.asked)

    @contextmanager
    def answering(self, **answers: Any) -> Iterator[None]:
        """``put_jobs=[…]`` for ``PUT jobs``."""
        self.asked.clear()
        self.answers = {" ".join((method.upper(), kind)): list(queue) for name, queue in answers.items() for method, kind in [name.split("_", 1)]}
        try:
            yield
        finally:
            self.answers = {}

    def _around(self, app: App) -> App:
        async def asked(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
            _, found, path = scope["path"].partition(_WORKSPACE)
            answer = self._next(f"{scope['method']} {path}") if found and "/history/" not in scope["path"] else None
            send = _last(send)
            if answer == LOST:
                await app(scope, receive, _nowhere)
                answer = (504, "GatewayTimeout", "The gateway did not receive a response from the service.")
            if answer is None:
                await app(scope, receive, send)
            else:
                await _refuse(send, *answer)

        return asked

    def _next(self, what: str) -> Any:
        self.asked.append(what)
        queue = next((queue for key, queue in self.answers.items() if re.match(rf"{key}(/|$)", what)), [None])
        return queue.pop(0) if len(queue) > 1 else queue[0]


def _last(send: Any) -> Any:
    """Ends the connection after each answer: the SDK's clients have no end of their own, and the server's must not wait for theirs."""

    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return sent


async def _nowhere(message: MutableMapping[str, Any]) -> None:
    return


async def _refuse(send: Any, status: int, code: str, message: str) -> None:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
