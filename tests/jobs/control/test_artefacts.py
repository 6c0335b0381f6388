"""Bundles that an MLflow server hands out: fetched whole, verified, once. Against a real server; what it never does is played by a fake one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.contracts import bundle as bundles
from jobs.contracts.errors import InputError, IntegrityError, SetupError, StorageError
from jobs.control import artefacts, tracking
from jobs.control.mlflow_client import open_client
from jobs.control.registry_mlflow import MlflowRegistry
from jobs.control.registry_reader import ModelVersion, resolve_alias
from tests.factories import make_bundle, make_dataset
from tests.http_server import Answer, FakeServer
from tests.mlflow_server import MlflowServer

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefacts")
    make_dataset(folder / "data", rows=400)
    make_bundle(folder / "bundle", folder / "data")
    return folder / "bundle"


@pytest.fixture
def registered(mlflow_server: MlflowServer, local: Path, request: pytest.FixtureRequest, tmp_path: Path) -> ModelVersion:
    """The bundle as version 1 of a model of this test's own, registered from outside through the server."""
    model = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    client = open_client(mlflow_server.address)
    run = tracking.start_run(client, tracking.experiment(client, model, tmp_path), name="r", params={}, tags={})
    registry = MlflowRegistry(client, mlflow_server.address)
    registry.set_alias(model, "champion", registry.register(model, str(local), run=run).version)
    version = resolve_alias(mlflow_server.address, model, "champion")
    assert version is not None
    assert version.uri.startswith("mlflow-artifacts:/")
    return version


def test_a_bundle_is_fetched_whole_and_once(registered: ModelVersion, local: Path, tmp_path: Path) -> None:
    copy = Path(artefacts.fetch(registered, tmp_path))
    assert copy == tmp_path / "bundles" / registered.fingerprint
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == {path.name: path.read_bytes() for path in local.iterdir()}
    assert artefacts.fetch(replace(registered, server=NOWHERE), tmp_path) == str(copy)  # nobody is asked a second time
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [registered.fingerprint]
    with pytest.raises(StorageError, match="does not answer"):
        artefacts.fetch(replace(registered, server=NOWHERE), tmp_path / "other")


def test_what_is_on_this_machine_is_read_where_it_is(local: Path, tmp_path: Path) -> None:
    version = ModelVersion("parcels", "1", str(local), "f" * 64)
    assert artefacts.fetch(version, tmp_path / "cache") == str(local)
    assert artefacts.describe(version) == artefacts.verify(version) == bundles.load(str(local))
    assert not (tmp_path / "cache").exists()


def test_a_damaged_copy_is_fetched_again(registered: ModelVersion, local: Path, tmp_path: Path) -> None:
    copy = Path(artefacts.fetch(registered, tmp_path))
    for name in (bundles.MODEL, bundles.BUNDLE):
        (copy / name).write_bytes((copy / name).read_bytes()[:50])
        assert artefacts.fetch(registered, tmp_path) == str(copy)
        assert (copy / name).read_bytes() == (local / name).read_bytes()
    assert len(list((tmp_path / "bundles").iterdir())) == 1


def test_a_bundle_changed_on_the_server_is_never_handed_out(registered: ModelVersion, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    there = mlflow_server.path_of(registered.uri)
    assert artefacts.verify(registered).fingerprint == registered.fingerprint

    whole = (there / bundles.VOCABULARY).read_bytes()
    (there / bundles.VOCABULARY).write_text("{}")
    for look in (lambda: artefacts.fetch(registered, tmp_path), lambda: artefacts.verify(registered)):
        with pytest.raises(IntegrityError, match=r"vocab\.json: the file does not match"):
            look()
    (there / bundles.VOCABULARY).write_bytes(whole)

    other = bundles.load(str(there)).model_copy(update={"threshold": 0.999})
    (there / bundles.BUNDLE).write_text(other.model_dump_json())
    with pytest.raises(IntegrityError, match="another bundle than was registered"):
        artefacts.fetch(registered, tmp_path)
    assert artefacts.describe(registered) == other  # as it is there now, for the lineage to compare
    assert list((tmp_path / "bundles").iterdir()) == []


def test_a_version_without_a_fingerprint_is_known_by_its_content(registered: ModelVersion, tmp_path: Path) -> None:
    by_hand = replace(registered, fingerprint="")
    assert artefacts.fetch(by_hand, tmp_path) == artefacts.fetch(by_hand, tmp_path) == artefacts.fetch(registered, tmp_path)


def test_a_bundle_that_is_gone_is_missing_and_not_a_failure_of_the_server(registered: ModelVersion, mlflow_server: MlflowServer, tmp_path: Path) -> None:
    shutil.rmtree(mlflow_server.path_of(registered.uri))
    with pytest.raises(InputError, match="does not have this file"):
        artefacts.fetch(registered, tmp_path)


def test_several_processes_may_fetch_at_once(registered: ModelVersion, tmp_path: Path) -> None:
    barrier = threading.Barrier(4)

    def fetch(_: int) -> str:
        barrier.wait()
        return artefacts.fetch(registered, tmp_path)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(fetch, range(4))) == {str(tmp_path / "bundles" / registered.fingerprint)}
    assert len(list((tmp_path / "bundles").iterdir())) == 1


READ = """
import sys
from jobs.control.registry_reader import resolve_alias
from serve.model import LoadedModel
print(LoadedModel(resolve_alias(*sys.argv[1:])).fingerprint, sorted({"mlflow", "requests", "torch", "ray"} & sys.modules.keys()))
"""


def test_a_serving_process_reads_all_this_without_mlflow(registered: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATRIAL_HOME", str(tmp_path))
    read = subprocess.run([sys.executable, "-c", READ, registered.server, registered.name, "champion"], capture_output=True, text=True, timeout=60, check=False)
    assert read.stdout.strip() == f"{registered.fingerprint} []", read.stderr
    assert (tmp_path / "cache" / "bundles" / registered.fingerprint / bundles.BUNDLE).exists()


def test_bundles_that_were_used_longest_ago_are_forgotten(registered: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artefacts, "KEPT", 2)
    for name in ("old", "older", ".new.under-way"):
        (tmp_path / "bundles" / name).mkdir(parents=True)
    for age, name in enumerate(("old", "older"), start=1):
        _age(tmp_path / "bundles" / name, age * 100)
    artefacts.fetch(registered, tmp_path)
    assert {path.name for path in (tmp_path / "bundles").iterdir()} == {"old", ".new.under-way", registered.fingerprint}
    _age(tmp_path / "bundles" / ".new.under-way", 7200)
    artefacts.fetch(registered, tmp_path / "elsewhere")
    artefacts._forget_old(tmp_path / "bundles")
    assert not (tmp_path / "bundles" / ".new.under-way").exists()


def test_a_cache_that_others_can_write_to_is_not_used(registered: ModelVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    copy = Path(artefacts.fetch(registered))
    assert copy.is_relative_to(tmp_path)
    folder = copy.parents[1]
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(SetupError, match="others can write"):
        artefacts.fetch(registered)
    shutil.rmtree(folder)
    (tmp_path / "of-another").mkdir()
    folder.symlink_to(tmp_path / "of-another")
    with pytest.raises(SetupError, match="others can write"):
        artefacts.fetch(registered)


def _served(local: Path, **changed: Answer) -> dict[str, Answer]:
    """A bundle as a server hands it out. ``changed``: file name without its ending -> another answer."""
    return {
        f"/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/bundle/{path.name}": changed.get(path.stem, Answer(path.read_bytes())) for path in local.iterdir()
    }


@pytest.mark.parametrize("file", ["model", "bundle"])
@pytest.mark.parametrize("told", [True, False], ids=["with-its-length", "without-its-length"])
def test_a_transfer_that_breaks_off_leaves_nothing(local: Path, tmp_path: Path, file: str, told: bool) -> None:
    content = next(path for path in local.iterdir() if path.stem == file).read_bytes()
    half = Answer(content[: len(content) // 2], length=len(content) if told else None)
    with FakeServer(_served(local, **{file: half})) as server, pytest.raises((StorageError, IntegrityError)):
        artefacts.fetch_uri("mlflow-artifacts:/1/run/artifacts/bundle", server.address, cache=tmp_path)
    assert list((tmp_path / "bundles").iterdir()) == []


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "a/../../../escaped", "..\\escaped"])
def test_a_bundle_cannot_write_outside_its_folder(local: Path, tmp_path: Path, name: str) -> None:
    described = json.loads((local / bundles.BUNDLE).read_bytes())
    described["files"][name] = hashlib.sha256(b"").hexdigest()
    with FakeServer(_served(local, bundle=Answer(json.dumps(described).encode()))) as server, pytest.raises(IntegrityError, match="outside the bundle"):
        artefacts.fetch_uri("mlflow-artifacts:/1/run/artifacts/bundle", server.address, cache=tmp_path / "cache")
    assert [path.name for path in tmp_path.rglob("*escaped*")] == []


def test_another_host_is_not_given_the_credentials(local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    with FakeServer(_served(local)) as theirs, FakeServer(_served(local)) as ours:
        host = theirs.address.removeprefix("http://")
        artefacts.fetch_uri(f"mlflow-artifacts://{host}/1/run/artifacts/bundle", ours.address, cache=tmp_path / "a")
        artefacts.fetch_uri("mlflow-artifacts:/1/run/artifacts/bundle", ours.address, cache=tmp_path / "b")
    assert {request.headers.get("authorization") for request in theirs.requests} == {None}
    assert {request.headers.get("authorization") for request in ours.requests} == {"Bearer secret"}


def test_a_server_below_a_path_is_asked_below_it(local: Path, tmp_path: Path) -> None:
    with FakeServer({f"/team/mlflow{path}": answer for path, answer in _served(local).items()}) as server:
        artefacts.fetch_uri("mlflow-artifacts:/1/run/artifacts/bundle", f"{server.address}/team/mlflow/", cache=tmp_path)
    with pytest.raises(SetupError, match="MLFLOW_TRACKING_URI"):
        artefacts.fetch_uri("mlflow-artifacts:/1/run/artifacts/bundle", "sqlite:///mlflow.db", cache=tmp_path)


def _age(path: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))
