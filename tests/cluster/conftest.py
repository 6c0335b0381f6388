"""A cluster for every test: an API server in this process and a kubeconfig that leads to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.kubernetes_backend import KubernetesBackend
from jobs.control.home import Home
from jobs.control.spec import Targets
from tests.cluster.kube_server import KubeServer, serving, write_kubeconfig


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """What the claim's pods see as their store."""
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def server(volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeServer]:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with serving(volume) as (server, address):
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", address)))
        yield server


@pytest.fixture
def backend(server: KubeServer, home: Home) -> KubernetesBackend:
    return open_again(home)


def open_again(home: Home) -> KubernetesBackend:
    """A backend as a new process opens it, impatient enough for tests."""
    backend = KubernetesBackend(home, Targets().kubernetes)
    backend.poll = 0.05
    return backend
