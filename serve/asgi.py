"""The serving application: plain ASGI, hosted by Ray Serve (``serve.ray_app``) or by any ASGI server.

    GET  /  /docs  /openapi.json  /example           for people and client generators
    POST /predict                                    one row or a list of rows as JSON
    GET  /v2  /v2/health/live  /v2/health/ready      Open Inference Protocol, version 2
    GET  /v2/models/{name}[/versions/{v}][/ready]
    POST /v2/models/{name}[/versions/{v}]/infer

It starts without a model (live 200, ready 503) and follows the registry. Every answer carries the version and the
bundle's fingerprint. Nothing that a client sends gives a 5xx other than 503 with Retry-After.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from serve import inference_protocol, openapi, pages
from serve.answers import HTML, Answer, Gone, Receive, Refused, Scope, Send, json_answer, read_json_body, send_answer, unavailable
from serve.model import LoadedModel
from serve.slot import POLL_SECONDS, ModelSlot

if TYPE_CHECKING:
    from serve.slot import Resolver

log = logging.getLogger(__name__)

_INLINE_BODY = 32 << 10  # bytes; a larger body takes over a millisecond to answer and leaves the event loop for a thread
_MODEL_PATH = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<action>/ready|/infer)?")


@dataclass(frozen=True)
class Call:
    """One request after routing. ``live`` is fixed here, so that one answer never mixes two versions."""

    name: str
    live: LoadedModel | None
    problem: str = ""
    body: bytes = b""

    @property
    def model(self) -> LoadedModel:
        """Errors: Refused 503 while no version is live."""
        if self.live is None:
            raise unavailable("no champion yet" + (f": {self.problem}" if self.problem else ""))
        return self.live


Handler = Callable[[Call], Answer]


def create_app(name: str, resolver: Resolver, *, poll_seconds: float = POLL_SECONDS) -> Application:
    """The application that serves one registered model; ``resolver`` says which version its alias points to now."""
    return Application(ModelSlot(name, resolver, poll_seconds=poll_seconds))


class Application:
    """An ASGI application. Its lifespan starts and stops following the registry."""

    def __init__(self, slot: ModelSlot) -> None:
        self.slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.slot.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await asyncio.to_thread(self.slot.stop)
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        live = self.slot.live
        try:
            answer = await self._answer(scope, receive, live)
        except Refused as refused:
            answer = refused.answer
        except Gone:
            return
        except Exception:  # a defect of ours: the log has the traceback, the client gets no detail
            log.exception("%s %s", scope["method"], scope["path"])
            answer = json_answer({"error": "internal error; the server's log has the details"}, 500)
        await send_answer(send, answer, live.headers if live else (), body=scope["method"] != "HEAD")

    async def _answer(self, scope: Scope, receive: Receive, live: LoadedModel | None) -> Answer:
        method, handler = self._route(scope["path"].removeprefix(scope.get("root_path", "")), live)
        if scope["method"] != method and (scope["method"], method) != ("HEAD", "GET"):
            raise Refused(405, f"this path answers {method}", ((b"allow", method.encode()),))
        if method == "GET":
            return handler(Call(self.slot.name, live, self.slot.problem))
        body = await read_json_body(dict(scope["headers"]), receive)
        call = Call(self.slot.name, live, self.slot.problem, body)
        return handler(call) if len(body) <= _INLINE_BODY else await asyncio.to_thread(handler, call)

    def _route(self, path: str, live: LoadedModel | None) -> tuple[str, Handler]:
        path = path.rstrip("/") or "/"
        if path in _ROUTES:
            return _ROUTES[path]
        if not (match := _MODEL_PATH.fullmatch(path)):
            raise Refused(404, "no such path; GET / lists what there is")
        if match["name"] != self.slot.name:
            raise Refused(404, f"no model {match['name']!r} here; this server has {self.slot.name!r}")
        if match["version"] and live and match["version"] != live.version:
            raise Refused(404, f"version {match['version']!r} is not served; the live version is {live.version!r}")
        return _MODEL_ROUTES[match["action"]]


def _predict(call: Call) -> Answer:
    model = call.model
    probabilities = model.score(*model.reader.read(call.body)).tolist()
    threshold = model.bundle.threshold
    predictions = [{"probability": probability, "label": int(probability >= threshold)} for probability in probabilities]
    return json_answer({"model": model.name, "model_version": model.version, "bundle": model.fingerprint, "predictions": predictions})


def _ready(call: Call) -> Answer:
    problem = {"problem": call.problem} if call.problem else {}  # a newer version did not load, and this one keeps answering
    return json_answer({"name": call.model.name, "ready": True, "live": True, "model_version": call.model.version} | problem)


def _server(call: Call) -> Answer:
    return json_answer({"name": "seatrial", "version": importlib.metadata.version("seatrial"), "extensions": [], "models": [call.name]})


_ROUTES: dict[str, tuple[str, Handler]] = {
    "/": ("GET", lambda call: Answer(pages.overview(call.name, call.live), kind=HTML)),
    "/docs": ("GET", lambda call: Answer(pages.documentation(call.name, call.live), kind=HTML)),
    "/openapi.json": ("GET", lambda call: json_answer(openapi.document(call.name, call.live))),
    "/example": ("GET", lambda call: json_answer(call.model.example)),
    "/predict": ("POST", _predict),
    "/v2": ("GET", _server),
    "/v2/health/live": ("GET", lambda call: json_answer({"live": True})),
    "/v2/health/ready": ("GET", _ready),
}
_MODEL_ROUTES: dict[str | None, tuple[str, Handler]] = {
    None: ("GET", lambda call: inference_protocol.metadata(call.model)),
    "/ready": ("GET", _ready),
    "/infer": ("POST", lambda call: inference_protocol.infer(call.model, call.body)),
}
