"""The ports: moto and SageMaker on a threaded WSGI server, page and Azure on uvicorn; loopback only."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud.practice.settings import Practice

HOST = "127.0.0.1"


@dataclass
class Ports:
    """Servers that were started; :meth:`close` ends them."""

    _wsgi: list[Any] = field(default_factory=list)
    _asgi: list[Any] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def wsgi(self, app: Any, port: int) -> None:
        """Serve a WSGI application from threads of this process.

        Errors: OSError when the port is taken.
        """
        from moto.moto_server.werkzeug_app import MotoRequestHandler
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
        server = make_server(HOST, port, app, threaded=True, request_handler=_quiet(MotoRequestHandler))
        server.daemon_threads = True  # type: ignore[attr-defined] # of socketserver's mixin
        self._wsgi.append(server)
        self._thread(server.serve_forever, f"wsgi {port}")

    def asgi(self, app: Any, port: int, certificate: tuple[Path, Path] | None = None) -> None:
        """Serve an ASGI application; with TLS when a certificate and its key are given."""
        import uvicorn

        tls: dict[str, Any] = {"ssl_certfile": str(certificate[0]), "ssl_keyfile": str(certificate[1])} if certificate else {}
        config = uvicorn.Config(app, host=HOST, port=port, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2, **tls)
        server = uvicorn.Server(config)
        self._asgi.append(server)
        self._thread(lambda: asyncio.run(server.serve()), f"asgi {port}")

    def _thread(self, work: Any, name: str) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    @property
    def ready(self) -> bool:
        return all(server.started for server in self._asgi)

    @property
    def broken(self) -> bool:
        """A server that ended by itself: its port was taken."""
        return not all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        for server in self._asgi:
            server.should_exit = True
        for server in self._wsgi:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join(5)


def _quiet(handler: Any) -> Any:
    """HTTP/1.1 keeps connections open between requests, which halves the time of a small one."""
    return type("Handler", (handler,), {"protocol_version": "HTTP/1.1", "timeout": 120, "log": lambda self, *rest: None})


def open_aws(practice: Practice, ports: Ports) -> None:
    from cloud.practice import aws

    ports.wsgi(aws.create(practice), practice.aws_port)
    aws.resume(practice)
