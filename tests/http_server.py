"""A scripted HTTP server: answers by path, and what it was asked. It plays what a real server does only on a bad day."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    body: bytes
    status: int = 200
    length: int | None = -1  # content-length as told; -1 = the true one, None = not told: the connection's end is the body's
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    path: str  # with its query
    headers: Mapping[str, str]  # names in lower case


class FakeServer:
    """``certificate``: key and certificate in one PEM file; then it speaks TLS."""

    def __init__(self, answers: Mapping[str, Answer], *, certificate: Path | None = None) -> None:
        self.requests: list[Asked] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.requests.append(Asked(self.path, {name.lower(): value for name, value in self.headers.items()}))
                answer = answers.get(self.path.partition("?")[0], Answer(b"<html>no such page</html>", 404))
                self.send_response(answer.status)
                if answer.length is not None:
                    self.send_header("content-length", str(len(answer.body) if answer.length < 0 else answer.length))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"http{'s' if certificate else ''}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
