"""Fixtures of the whole suite. Tests mirror the rooms; nothing here imports an engine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import mlflow_server as mlflow_servers
from tests import ray_cluster as clusters

REPOSITORY = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run what takes long: soak, large properties, peers")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        for item in items:
            if item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="long; runs with make test-full"))
    # Whole voyages last: what is quick to fail should fail first.
    items.sort(key=lambda item: "e2e" in item.path.parts)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own store or tracking server."""
    for name in list(os.environ):
        if name.startswith(("SEATRIAL_", "MLFLOW_TRACKING_")):
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
