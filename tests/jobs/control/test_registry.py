"""The registry on a real MLflow store; what the light reader says is held against MLflow's own client."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.contracts.errors import IntegrityError, StorageError
from jobs.control import tracking
from jobs.control.mlflow_client import open_client
from jobs.control.registry_mlflow import MlflowRegistry
from jobs.control.registry_reader import list_versions, resolve_alias
from tests.factories import make_bundle, make_dataset
from tests.mlflow_server import MlflowServer


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
    assert champion == ours[0]
    assert champion.aliases == ("challenger", "champion")
    assert resolve_alias(uri, model, "no-such-alias") is None
    assert list_versions(uri, "no-such-model") == []
    assert model in {version.name for version in list_versions(uri)}


def test_versions_are_immutable_and_aliases_move(places: tuple[str, Path]) -> None:
    _check_life_of_a_model(*places, model="parcels")


def test_of_two_runs_that_register_one_bundle_at_once_the_first_stays(places: tuple[str, Path]) -> None:
    """The other run comes in between: it has not seen the first one's version, and the first has not seen its."""
    uri, folder = places
    client, raced = open_client(uri), list[str]()
    experiment = tracking.experiment(client, "race", folder / "artifacts")
    upload = client.log_artifacts

    def meanwhile(*arguments: str) -> None:
        raced.append(_register(uri, folder, "good", "race")[1])
        upload(*arguments)

    client.log_artifacts = meanwhile  # type: ignore[method-assign]
    run = tracking.start_run(client, experiment, name="late", params={}, tags={})
    late = MlflowRegistry(client, uri).register("race", str(folder / "good"), run=run)
    assert (raced, late.version) == (["1"], "1")
    assert [version.version for version in list_versions(uri, "race")] == ["1"]


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


def test_a_server_is_read_through_its_rest_interface(mlflow_server: MlflowServer, places: tuple[str, Path]) -> None:
    _check_life_of_a_model(mlflow_server.address, places[1], model="parcels")
