"""Amazon on a bad day: a server that answers each operation as a test says, and counts what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOST = "lost"  # the request is taken, and its answer never arrives


class AwsServer:
    """``answers[operation]``: what is answered, in order, the last one for ever: a document, ``(code, message, status)`` or LOST."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}") if "json" in self.headers["content-type"] else {}
                operation = (self.headers.get("x-amz-target") or "").rpartition(".")[2]
                fake.asked.append((operation, body))
                queue = fake.answers.get(operation, [("UnknownOperationException", operation, 404)])
                answer = queue.pop(0) if len(queue) > 1 else queue[0]
                if answer == LOST:
                    self.close_connection = True
                    return
                self._reply(*_as_http(answer))

            def _reply(self, status: int, document: dict[str, Any]) -> None:
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.1")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def count(self, operation: str) -> int:
        return sum(each == operation for each, _ in self.asked)

    @contextmanager
    def serving(self) -> Iterator[AwsServer]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def _as_http(answer: Any) -> tuple[int, dict[str, Any]]:
    if isinstance(answer, tuple):
        code, message, status = answer
        return status, {"__type": code, "message": message}
    return 200, answer
