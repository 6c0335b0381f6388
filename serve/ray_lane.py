"""The short way from a replica's own HTTP server to the application.

In Ray's throughput mode each replica listens by itself. Around the application Ray puts two tasks, a semaphore, a request context and its
counters: some 0.2 ms of processor time per request. As ASGI middleware, which Ray lets one add
(``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=serve.ray_lane:middlewares``), the application answers before all that. Ray keeps its own paths
(``/-/...``: health, routes), the listening, the draining and the ending of requests under way, which are uvicorn's.

What goes: Ray's count of ongoing requests, so no autoscaling by it, and ``ray_serve_*`` metrics of requests; ours are in ``serve.metrics``.
In a process that hosts no application (Ray's own proxy) every request goes Ray's way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serve.answers import Receive, Scope, Send
    from serve.asgi import Application

hosted: list[Application] = []  # the application of this process, once a replica has built one


class ShortWay:
    def __init__(self, ray: Any) -> None:
        self._ray = ray

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if hosted and scope["type"] == "http" and not scope["path"].startswith("/-/"):
            await hosted[0](scope, receive, send)
        else:
            await self._ray(scope, receive, send)


def middlewares() -> list[Any]:
    """For Ray."""
    from starlette.middleware import Middleware

    return [Middleware(ShortWay)]
