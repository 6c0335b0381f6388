"""The page's ASGI application: one HTML file, and JSON for it.

Loopback only; a request with another ``Host`` (a web site that points its name here) or a POST that is not JSON is refused.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloud.practice.inject import KINDS, Injection
from cloud.practice.settings import Practice

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_PAGE = Path(__file__).with_name("index.html")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"
_PIECE = 256 * 1024  # bytes of a log in one answer
_NAMES = {"127.0.0.1", "localhost"}


def create(practice: Practice) -> Starlette:
    from starlette.applications import Starlette
    from starlette.routing import Route

    pages = Pages(practice)
    routes = [
        Route("/", pages.index),
        Route("/api/state", pages.state),
        Route("/api/record", pages.record),
        Route("/api/log", pages.log),
        Route("/api/inject", pages.inject, methods=["POST"]),
    ]
    return Starlette(routes=routes)


class Pages:
    def __init__(self, practice: Practice) -> None:
        self._practice = practice

    async def index(self, request: Request) -> Response:
        from starlette.responses import HTMLResponse

        return _refused(request) or HTMLResponse(_PAGE.read_bytes(), headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"})

    async def state(self, request: Request) -> Response:
        """Everything but requests and logs."""
        practice = self._practice
        facts = {
            "records": [record.summary() for record in practice.events.all()],
            "injections": [asdict(each) for each in practice.injections.armed],
            "images": practice.images.names(),
            "isolation": practice.executor.isolation,
            "kinds": KINDS,
            "aws": practice.aws_url,
            "azure": practice.azure_url,
        }
        return _refused(request) or _json(facts)

    async def record(self, request: Request) -> Response:
        """One record with the request that was sent."""
        found = self._practice.events.find(*(request.query_params.get(key, "") for key in ("cloud", "kind", "name")))
        return _refused(request) or (_json({**asdict(found), "status": found.status}) if found else _json({"error": "no such thing"}, 404))

    async def log(self, request: Request) -> Response:
        """A piece of a host's log from ``offset`` on."""
        query = request.query_params
        found = self._practice.events.find(*(query.get(key, "") for key in ("cloud", "kind", "name")))
        path = Path(found.logs.get(query.get("host", ""), "")) if found else Path()
        if refused := _refused(request):
            return refused
        if not path.is_file():
            return _json({"text": "", "next": 0})
        offset = int(query.get("offset") or 0)
        with path.open("rb") as file:
            file.seek(offset)
            piece = file.read(_PIECE)
        return _json({"text": piece.decode(errors="replace"), "next": offset + len(piece)})

    async def inject(self, request: Request) -> Response:
        if refused := _refused(request):
            return refused
        if not request.headers.get("content-type", "").startswith("application/json"):
            return _json({"error": "send JSON"}, 415)
        wanted = await request.json()
        if wanted["kind"] == "none":
            return _json({"text": f"{self._practice.injections.clear()} drills disarmed"})
        if wanted["kind"] not in KINDS:
            return _json({"error": f"no such drill: {wanted['kind']}; there are {', '.join(KINDS)}"}, 400)
        keys = ("kind", "cloud", "match", "seconds", "times")
        injection = Injection(**{key: wanted[key] for key in keys if key in wanted})
        self._practice.injections.arm(injection)
        return _json({"text": f"armed: {injection.kind} for the next job that matches {injection.match}: {KINDS[injection.kind]}"})


def _refused(request: Request) -> Response | None:
    return None if request.url.hostname in _NAMES else _json({"error": "this page answers on loopback only"}, 403)


def _json(value: Any, status: int = 200) -> Response:
    from starlette.responses import Response

    return Response(json.dumps(value, default=str), status, {"Cache-Control": "no-store"}, "application/json")
