"""The registry on a real MLflow store; what the light reader says is held against MLflow's own client."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.contracts.errors import IntegrityError, StorageError
from jobs.control import tracking
from jobs.control.mlflow_client import open_client
from jobs.control.registry_mlflow import MlflowRegistry
from jobs.control.registry_reader import list_versions, resolve_alias
from jobs.control.services import get_json
from tests.factories import make_bundle, make_dataset


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("registry")
    make_dataset(folder / "data", rows=400)
    for name, skill in (("good", 1.0), ("poor", 0.3)):
        make_bundle(folder / name, folder / "data", skill=skill)
    return f"sqlite:///{folder / 'mlflow.db'}", folder


def _register(uri: str, folder: Path, bundle: str, model: str) -> tuple[MlflowRegistry, str]:
    client = open_client(uri)
    experiment = tracking.experiment(client, model, folder / "artifacts")
    run = tracking.start_run(client, experiment, name=f"run-{bundle}", params={"a": {"b": 1}}, tags={"seatrial.run": "r"})
    registry = MlflowRegistry(client, uri)
    return registry, registry.register(model, str(folder / bundle), run=run, tags={"seatrial.run": "r"}).version


def _check_life_of_a_model(uri: str, folder: Path, model: str) -> None:
    assert resolve_alias(uri, model, "champion") is None
    registry, first = _register(uri, folder, "good", model)
    registry.set_alias(model, "champion", first)
    _, again = _register(uri, folder, "good", model)
    _, second = _register(uri, folder, "poor", model)
    assert (first, again, second) == ("1", "1", "2")
    registry.set_alias(model, "challenger", second)
    registry.set_alias(model, "champion", second)

    theirs = {str(version.version): version for version in open_client(uri).search_model_versions(f"name='{model}'")}
    ours = list_versions(uri, model)
    assert [version.version for version in ours] == ["2", "1"]
    for version in ours:
        assert (version.uri, version.run) == (theirs[version.version].source, theirs[version.version].run_id)
        assert version.tags == theirs[version.version].tags
    assert (champion := resolve_alias(uri, model, "champion")) is not None
    assert (champion.version, champion.aliases) == ("2", ("challenger", "champion"))
    assert list_versions(uri, "no-such-model") == []
    assert model in {version.name for version in list_versions(uri)}


def test_versions_are_immutable_and_aliases_move(places: tuple[str, Path]) -> None:
    _check_life_of_a_model(*places, model="parcels")


def test_a_tampered_bundle_is_not_registered(places: tuple[str, Path], tmp_path: Path) -> None:
    uri, _ = places
    make_dataset(tmp_path / "data", rows=400)
    make_bundle(tmp_path / "bad", tmp_path / "data")
    (tmp_path / "bad" / "vocab.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"vocab\.json"):
        _register(uri, tmp_path, "bad", "tampered")
    assert list_versions(uri, "tampered") == []


def test_metrics_reach_mlflow_with_their_epoch(places: tuple[str, Path]) -> None:
    uri, folder = places
    reported = '{"time": 1.0, "message": "x", "epoch": 3, "loss": 0.5}\n{"time": 2.0, "epo'
    client = open_client(uri)
    run = tracking.start_run(client, tracking.experiment(client, "curves", folder / "artifacts"), name="r", params={}, tags={})
    tracking.log_metrics(client, run, reported)
    history = client.get_metric_history(run, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(3, 0.5)]


def test_an_unreadable_store_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"this is no database, and long enough to be read as one" * 100)
    with pytest.raises(StorageError, match="cannot read the registry"):
        list_versions(f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(StorageError, match="does not answer"):
        list_versions("http://127.0.0.1:9")


@pytest.fixture
def server(places: tuple[str, Path], tmp_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        f"sqlite:///{tmp_path / 'server.db'}",
        "--artifacts-destination",
        str(tmp_path / "art"),
    ]
    log = (tmp_path / "server.log").open("wb")
    child = subprocess.Popen([*argv, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"], stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 90
        while get_json(f"http://127.0.0.1:{port}/version")[0] == 0 and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        from jobs.control.processes import stop_session

        stop_session(child.pid)
        log.close()


@pytest.mark.full
def test_a_server_is_read_through_its_rest_interface(server: str, places: tuple[str, Path]) -> None:
    _check_life_of_a_model(server, places[1], model="parcels")
