"""The serving application: plain ASGI, hosted by Ray Serve (``serve.ray_app``) or by any ASGI server.

    GET  /  /docs  /openapi.json  /example  /metrics  for people, client generators and Prometheus
    POST /predict                                     one row or a list of rows as JSON
    POST /explain     GET /form                       what moved a score; what a form needs (the page at / uses both)
    GET  /v2  /v2/health/live  /v2/health/ready       Open Inference Protocol, version 2, JSON and binary tensors
    GET  /v2/models/{name}[/versions/{v}][/ready]
    POST /v2/models/{name}[/versions/{v}]/infer
    POST /invocations     GET /ping                   MLflow's and SageMaker's scoring protocol
    POST /v1/models/{name}[/versions/{v}]:predict     KServe, version 1
    POST /models/{name}[/versions/{v}]/predict|invocations|explain    where one server has several models

It starts without a model (live 200, ready 503) and follows the registry. Every answer carries its request's id (``x-request-id``, the
client's or a new one), the version and the bundle's fingerprint. Nothing that a client sends gives a 5xx other than 503 with Retry-After.

To serve something else than an alias, hand :class:`Application` any :class:`serve.seam.Traffic`, as ``serve.standalone`` does.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping
from typing import Any

from serve.answers import Answer, Gone, Receive, Refused, Scope, Send, json_answer, read_body, send_answer, unavailable
from serve.guard.door import OPEN, Door
from serve.guard.origins import Origins
from serve.guard.patience import Patience
from serve.guard.settings import GuardSettings, from_environment
from serve.model import LoadedModel
from serve.notes import Notes
from serve.routes import Asked, Format, Routes, Target, no_champion, not_served
from serve.scoring import Scoring
from serve.seam import Traffic
from serve.work import Work, check_method, request_id

log = logging.getLogger(__name__)

ECHOED = "seatrial.request_id_echoed"  # in the scope: whoever hosts us puts the request's id into the answer by himself
_SWITCH = 2e-4  # seconds after which a thread that looks at answers lets the event loop on; Python's 5 ms at every system call were the p99


class Application:
    """An ASGI application for one model or several side by side; the first has the short paths.

    Its lifespan starts and stops following the registry.
    """

    def __init__(self, traffic: Traffic, *others: Traffic, settings: GuardSettings | None = None) -> None:
        self.slot: Any = traffic  # of the first model
        self.models: dict[str, Traffic] = {each.name: each for each in (traffic, *others)}
        self.settings = settings or from_environment()
        self._notes = Notes(self.models)
        self.metrics = self._notes.metrics
        self._routes = Routes(self.models)
        self._door = Door(self.settings, self.metrics)
        self._origins = Origins(self.settings.origins) if self.settings.origins else None
        self._patience = Patience(self.settings.timeout_seconds)
        self._scoring = Scoring(self.settings, self.metrics, len(self.models))

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
                sys.setswitchinterval(min(_SWITCH, sys.getswitchinterval()))
                for each in (*self.models.values(), self._notes, *([self._door.keys] if self._door.keys else ())):
                    each.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                for each in (*self.models.values(), *([self._door.keys] if self._door.keys else ())):
                    await asyncio.to_thread(each.stop)
                await self._notes.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.metrics.active += 1
        try:
            headers = dict(scope["headers"])
            work = Work(request_id(headers), scope["method"])
            try:
                answer = await self._answer(scope, headers, receive, work)
            except Refused as refused:
                answer = refused.answer
            except Gone:
                return
            except Exception:  # a defect of ours: the log has the traceback, the client gets no detail
                log.exception("%s %s", scope["method"], scope["path"])
                answer = json_answer({"error": "internal error; the server's log has the details"}, 500)
            own = work.model.headers if work.model else ()
            if ECHOED not in scope:
                own = ((b"x-request-id", work.id.encode()), *own)
            if self._origins:
                own = (*own, *self._origins.headers(headers))
            await send_answer(send, answer, own, body=work.method != "HEAD")
            self._notes.note(scope, headers, work, answer)
        finally:
            self.metrics.active -= 1

    async def _answer(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, work: Work) -> Answer:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if self._origins and (preflight := self._origins.preflight(work.method, headers)):
            return preflight
        if path not in OPEN:
            work.client = self._door.admit(scope, headers)
        work.model = self.slot.live
        if path == "/metrics":
            work.route = path
            check_method(work, "GET")
            text, kind = self.metrics.text(headers.get(b"accept", b"").decode("latin-1"))
            return Answer(text, kind=kind)
        target = self._routes.find(path)
        work.route = target.route.template
        check_method(work, target.route.method)
        if target.route.format is None:
            return self._look(target, work)
        return await self._respond(target, target.route.format, headers, receive, work)

    async def _respond(self, target: Target, form: Format, headers: Mapping[bytes, bytes], receive: Receive, work: Work) -> Answer:
        """Errors: Refused 408 for a client, and 503 for a model, that takes too long; those of reading and scoring."""
        held, body = self._scoring.hold(headers), None
        task = self._patience.begin()
        try:
            body = await read_body(headers, receive, self.settings.body)
            work.model = _chosen(target, work)
            return await self._scoring.score(form, work.model, headers, body, work)
        except asyncio.CancelledError:
            if not self._patience.ended(task):
                raise
            raise self._late(body) from None
        finally:
            self._patience.end(task)
            self._scoring.release(held)

    def _late(self, body: bytes | None) -> Refused:
        seconds = f"{self.settings.timeout_seconds:g} s"
        if body is None:
            return Refused(408, f"the body did not arrive within {seconds}", ((b"connection", b"close"),))
        self.metrics.refuse("time")
        return unavailable(f"no answer within {seconds}: send fewer rows, or the request once more")

    def _look(self, target: Target, work: Work) -> Answer:
        work.model = target.traffic.live
        if target.version and work.model and (named := target.traffic.by_version(target.version)) is None:
            raise not_served(target.traffic, target.version)
        if target.version and work.model:
            work.model = named
        assert target.route.handler is not None
        return target.route.handler(Asked(target.traffic, work.model, self.models))


def _chosen(target: Target, work: Work) -> LoadedModel:
    """Errors: Refused 503 while there is no champion, 404 for a version that is not loaded."""
    model = target.traffic.by_version(target.version) if target.version else target.traffic.choose(work.id)
    if model is None:
        raise not_served(target.traffic, target.version) if target.version and target.traffic.live else no_champion(target.traffic)
    return model
