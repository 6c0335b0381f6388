"""Which path answers what. A route about a model names whose; scoring routes have a format that reads bodies and writes answers."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from serve import explain, inference_protocol, invocations, openapi, pages, task_answers
from serve.answers import JSON, TEXT, Answer, Refused, json_answer, kind_of, unavailable

if TYPE_CHECKING:
    from serve.model import LoadedModel, Tensors
    from serve.seam import Traffic

_MODEL_PATH = re.compile(r"(?P<tree>/v2/models|/v1/models|/models)/(?P<name>[^/:]+)(?:/versions/(?P<version>[^/:]+))?(?P<action>[/:][a-z]+)?")


@dataclass(frozen=True)
class Format:
    """``read``: model, headers and body to tensors and what the client wishes; ``write``: that and the probabilities to the answer."""

    read: Callable[[LoadedModel, Mapping[bytes, bytes], bytes], tuple[Tensors, Any]]
    write: Callable[[LoadedModel, NDArray[Any], Any], Answer]


@dataclass(frozen=True)
class Asked:
    """A GET after routing. ``model``: the version that the path names, or the champion."""

    traffic: Traffic
    model: LoadedModel | None
    everything: Mapping[str, Traffic]

    @property
    def live(self) -> LoadedModel:
        """Errors: Refused 503 while no version is live."""
        if self.model is None:
            raise no_champion(self.traffic)
        return self.model


@dataclass(frozen=True)
class Route:
    """``template``: the path without names, for metrics. ``handler`` answers GET, ``format`` POST."""

    template: str
    handler: Callable[[Asked], Answer] | None = None
    format: Format | None = None

    @property
    def method(self) -> str:
        return "GET" if self.handler else "POST"


@dataclass(frozen=True)
class Target:
    """A path, resolved. ``version``: the one that the path names; empty for whichever answers."""

    route: Route
    traffic: Traffic
    version: str = ""


class Routes:
    """``models``: by registered name; the first one has the short paths."""

    def __init__(self, models: Mapping[str, Traffic]) -> None:
        self._models, self._default = models, next(iter(models.values()))
        self._known = {path: Target(route, self._default) for path, route in _ROUTES.items()}
        for name, traffic in models.items():
            for (tree, action), route in _MODEL_ROUTES.items():
                self._known[f"{tree}/{name}{action}"] = Target(route, traffic)

    def find(self, path: str) -> Target:
        """Errors: Refused 404."""
        if found := self._known.get(path):
            return found
        path = path.rstrip("/") or "/"
        return self._known.get(path) or self._find_version(path)

    def _find_version(self, path: str) -> Target:
        match = _MODEL_PATH.fullmatch(path)
        route = _MODEL_ROUTES.get((match["tree"], match["action"] or "")) if match else None
        if not match or not route:
            raise Refused(404, "no such path; GET / lists what there is")
        if match["name"] not in self._models:
            has = ", ".join(repr(name) for name in self._models)
            raise Refused(404, f"no model {match['name']!r} here; this server has {has}")
        return Target(route, self._models[match["name"]], match["version"] or "")


def no_champion(traffic: Traffic) -> Refused:
    return unavailable("no champion yet" + (f": {traffic.problem}" if traffic.problem else ""))


def not_served(traffic: Traffic, version: str) -> Refused:
    live = traffic.live
    return Refused(404, f"version {version!r} is not served" + (f"; the live version is {live.version!r}" if live else ""))


def _read_rows(model: LoadedModel, headers: Mapping[bytes, bytes], body: bytes) -> tuple[Tensors, None]:
    if kind_of(headers) not in (JSON, b""):
        raise Refused(415, "the body must be JSON: send the header content-type: application/json")
    return model.of_rows(model.reader.read(body)), None


def _write_predictions(model: LoadedModel, probabilities: NDArray[Any], wish: None) -> Answer:
    predictions = task_answers.written(model.bundle, probabilities)
    return json_answer({"model": model.name, "model_version": model.version, "bundle": model.fingerprint, "predictions": predictions})


def _ready(asked: Asked) -> Answer:
    problem = {"problem": asked.traffic.problem} if asked.traffic.problem else {}  # a newer version did not load, and this one keeps answering
    return json_answer({"name": asked.live.name, "ready": True, "live": True, "model_version": asked.live.version} | problem)


def _all_ready(asked: Asked) -> Answer:
    """Errors: Refused 503 that names the first model without a version."""
    for traffic in asked.everything.values():
        if traffic.live is None:
            raise no_champion(traffic)
    return _ready(asked)


@cache
def _version_of_seatrial() -> str:
    return importlib.metadata.version("seatrial")


def _server(asked: Asked) -> Answer:
    extensions = list(inference_protocol.EXTENSIONS)
    return json_answer({"name": "seatrial", "version": _version_of_seatrial(), "extensions": extensions, "models": list(asked.everything)})


def _live(asked: Asked) -> Answer:
    return json_answer({"live": True})


_PREDICT = Format(_read_rows, _write_predictions)
_INFER = Format(inference_protocol.read, inference_protocol.write)
_INVOKE = Format(invocations.read, invocations.write)
_EXPLAIN = Format(explain.read, explain.write)
_ROUTES = {
    **{path: Route(path, partial(pages.file, name)) for path, name in pages.FILES.items()},
    "/form": Route("/form", lambda asked: explain.form(asked.live)),
    "/explain": Route("/explain", format=_EXPLAIN),
    "/openapi.json": Route("/openapi.json", lambda asked: json_answer(openapi.document({name: each.live for name, each in asked.everything.items()}))),
    "/example": Route("/example", lambda asked: json_answer(asked.live.example)),
    "/predict": Route("/predict", format=_PREDICT),
    "/invocations": Route("/invocations", format=_INVOKE),
    "/ping": Route("/ping", lambda asked: Answer(asked.live.version.encode(), kind=TEXT)),
    "/v2": Route("/v2", _server),
    "/v2/health/live": Route("/v2/health/live", _live),
    "/v2/health/ready": Route("/v2/health/ready", _all_ready),
}
_METADATA = Route("/v2/models/{name}", lambda asked: inference_protocol.metadata(asked.live, asked.traffic.state()))
_MODEL_ROUTES = {
    ("/v2/models", ""): _METADATA,
    ("/v2/models", "/ready"): Route("/v2/models/{name}/ready", _ready),
    ("/v2/models", "/infer"): Route("/v2/models/{name}/infer", format=_INFER),
    ("/v1/models", ""): Route("/v1/models/{name}", _ready),
    ("/v1/models", ":predict"): Route("/v1/models/{name}:predict", format=_INVOKE),
    ("/models", "/example"): Route("/models/{name}/example", lambda asked: json_answer(asked.live.example)),
    ("/models", "/form"): Route("/models/{name}/form", lambda asked: explain.form(asked.live)),
    ("/models", "/explain"): Route("/models/{name}/explain", format=_EXPLAIN),
    ("/models", "/predict"): Route("/models/{name}/predict", format=_PREDICT),
    ("/models", "/invocations"): Route("/models/{name}/invocations", format=_INVOKE),
}
SCORING = frozenset(route.template for route in (*_ROUTES.values(), *_MODEL_ROUTES.values()) if route.format not in (None, _EXPLAIN))  # templates
