"""Fixtures of the whole suite. Tests mirror the rooms; nothing here imports an engine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import mlflow_server as mlflow_servers
from tests import practice as practices
from tests import ray_cluster as clusters

REPOSITORY = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run what takes long: soak, large properties, peers")
    parser.addoption("--serve-url", default="", help="for tests/serve/conformance: another server than this repository's")
    parser.addoption("--serve-model", default="parcels", help="the model to ask there")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="long; runs with make test-full"))
    # Whole voyages last: what is quick to fail should fail first.
    items.sort(key=lambda item: "e2e" in item.path.parts)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own store, tracking server or practice service."""
    for name in list(os.environ):
        if name.startswith(("SEATRIAL_", "MLFLOW_TRACKING_", "ARM_CLOUD_METADATA_", "AWS_ENDPOINT_URL_SAGEMAKER")):
            monkeypatch.delenv(name)


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture
def flights_folder(tmp_path: Path) -> Path:
    """A copy of the example, free to be edited."""
    return shutil.copytree(REPOSITORY / "examples" / "flights", tmp_path / "flights", ignore=shutil.ignore_patterns("__pycache__", ".seatrial"))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[clusters.RayCluster]:
    """One cluster for the whole suite; it starts when a test first asks for it."""
    with clusters.start() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow_servers.MlflowServer]:
    """One server for the whole suite: a test takes a model name that is its own."""
    with mlflow_servers.start(tmp_path_factory.mktemp("mlflow-server")) as server:
        yield server


@pytest.fixture(scope="session")
def practice_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[practices.PracticeService]:
    """One for the whole suite: a test takes names of its own, and drills are none of its business."""
    service = practices.start(tmp_path_factory.mktemp("practice-service"))
    yield service
    service.seatrial("practice", "down")


@pytest.fixture
def practice(practice_service: practices.PracticeService, monkeypatch: pytest.MonkeyPatch) -> practices.PracticeService:
    """The service, with this process's clients led to it."""
    for name, value in practice_service.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return practice_service
