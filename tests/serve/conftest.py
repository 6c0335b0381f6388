"""Two published bundles of the parcel workload, an application that serves them, and a synchronous client for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts.bundle import Bundle
from jobs.control.registry_reader import ModelVersion
from jobs.control.rollout.standing import Standing
from serve.asgi import Application
from serve.rollout.traffic import RolloutTraffic
from tests import factories

ROW = {"color": "red", "size": 12.5, "weight": None}


@dataclass(frozen=True)
class Published:
    """A dataset, a good bundle (version 1) and a weak one (version 2) whose answers differ."""

    root: Path
    bundles: tuple[Bundle, Bundle]

    @property
    def dataset(self) -> Path:
        return self.root / "dataset"

    def uri(self, version: int) -> str:
        return str(self.root / f"bundle-{version}")

    def version(self, version: int) -> ModelVersion:
        return ModelVersion("parcels", str(version), self.uri(version), self.bundles[version - 1].fingerprint)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    root = tmp_path_factory.mktemp("parcels")
    factories.make_dataset(root / "dataset", rows=4_000)
    made = [factories.make_bundle(root / f"bundle-{version}", root / "dataset", skill=skill) for version, skill in ((1, 1.0), (2, 0.5))]
    return Published(root, (made[0], made[1]))


class Alias:
    """A registry alias that tests move by hand; an exception in ``target`` is raised."""

    def __init__(self, target: ModelVersion | Exception | None = None) -> None:
        self.target = target

    def __call__(self) -> ModelVersion | None:
        if isinstance(self.target, Exception):
            raise self.target
        return self.target


def following(name: str, alias: Alias, poll_seconds: float = 0.25) -> RolloutTraffic:
    """Traffic that follows an alias which tests move by hand."""
    return RolloutTraffic(name, lambda: Standing(champion=alias()), poll_seconds=poll_seconds)


def application(alias: Alias, poll_seconds: float = 0.25) -> Application:
    return Application(following("parcels", alias, poll_seconds))


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(app: Application, method: str, path: str, body: Any = b"", headers: Mapping[str, str] | None = None) -> Reply:
    """One request straight into the ASGI application, without the strictness of an HTTP client library."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": "application/json"} if headers is None else headers
    scope = {"type": "http", "method": method, "path": path, "headers": [(key.lower().encode(), value.encode()) for key, value in given.items()]}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, content = sent
    return Reply(start["status"], {key.decode(): value.decode() for key, value in start["headers"]}, content["body"])


@pytest.fixture
def app(published: Published) -> Application:
    """Serves version 1."""
    app = application(Alias(published.version(1)))
    app.slot.refresh()
    return app


@pytest.fixture
def empty_app() -> Application:
    """No version has the alias yet."""
    app = application(Alias())
    app.slot.refresh()
    return app
