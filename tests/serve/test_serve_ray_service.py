"""The service as KubeRay deploys it: `serveConfigV2` sent to a real Ray's dashboard, and versions out of a real MLflow server's own store."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts.errors import SetupError, SpecError
from jobs.control import tracking
from jobs.control.mlflow_client import open_client
from jobs.control.registry_mlflow import MlflowRegistry
from jobs.scoring.scorer import Scorer
from serve.rollout.opening import REMOTE_POLL_SECONDS
from tests.mlflow_server import MlflowServer
from tests.ray_cluster import RayCluster, free_ports
from tests.serve.conftest import ROW, Published
from tests.serve.test_serve_ray_app import wait

pytestmark = pytest.mark.timeout(480)

MODEL = "parcels-as-a-service"
Build = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Deployed:
    cluster: RayCluster
    url: str

    def dashboard(self, method: str, body: Any = None) -> Any:
        request = urllib.request.Request(f"{self.cluster.address}/api/serve/applications/", json.dumps(body).encode() if body else None, method=method)
        request.add_header("authorization", f"Bearer {self.cluster.token}")
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read() or b"null")

    def status(self) -> tuple[str, str]:
        application = self.dashboard("GET")["applications"].get("seatrial", {})
        return application.get("status", ""), application.get("message", "")

    def get(self, path: str, body: Any = None) -> tuple[int, Any]:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body else None, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:  # Serve's own proxy answers in plain text until the application is there
                return error.code, json.load(error) if error.headers.get_content_type() == "application/json" else {}
        except OSError:
            return 0, None


def serve_config(port: int, mlflow: str, home: Path) -> dict[str, Any]:
    """What the chart writes, but for the port, for one proxy where all nodes are this machine, and for the pods' variables."""
    application = {
        "name": "seatrial",
        "route_prefix": "/",
        "import_path": "serve.ray_service:build",
        "args": {"model": MODEL, "alias": "champion", "replicas": 2},
        "runtime_env": {"env_vars": {"MLFLOW_TRACKING_URI": mlflow, "SEATRIAL_HOME": str(home)}},
    }
    return {"proxy_location": "HeadOnly", "http_options": {"host": "127.0.0.1", "port": port}, "applications": [application]}


@pytest.fixture
def deployed(ray_cluster: RayCluster, mlflow_server: MlflowServer, tmp_path: Path) -> Iterator[Deployed]:
    port = free_ports(1)[0]
    service = Deployed(ray_cluster, f"http://127.0.0.1:{port}")
    service.dashboard("PUT", serve_config(port, mlflow_server.address, tmp_path))
    yield service
    service.dashboard("DELETE")


def test_it_waits_for_a_champion_and_follows_it(deployed: Deployed, mlflow_server: MlflowServer, published: Published, tmp_path: Path) -> None:
    wait(lambda: deployed.get("/v2/health/live")[0] == 200 or "FAILED" in deployed.status()[0], seconds=120)
    wait(lambda: deployed.status()[0] == "RUNNING")  # what KubeRay takes for a service that is up
    status, told = deployed.get("/v2/health/ready")
    assert (status, "no champion yet" in told["error"]) == (503, True), told
    assert deployed.get("/predict", ROW)[0] == 503

    client = open_client(mlflow_server.address)
    registry = MlflowRegistry(client, mlflow_server.address)
    for number in (1, 2):
        run = tracking.start_run(client, tracking.experiment(client, MODEL, tmp_path), name=f"r{number}", params={}, tags={})
        version = registry.register(MODEL, published.uri(number), run=run)
        registry.set_alias(MODEL, "champion", version.version)
        wait(lambda wanted=version: deployed.get("/predict", ROW)[1].get("model_version") == wanted.version, seconds=REMOTE_POLL_SECONDS + 10)
        wait(lambda wanted=version: _versions(deployed) == {wanted.version}, seconds=REMOTE_POLL_SECONDS + 10)  # in every replica
        answer = deployed.get("/predict", ROW)[1]
        expected = Scorer(published.uri(number)).score(_table())
        assert answer["bundle"] == version.fingerprint
        assert answer["predictions"][0]["probability"] == pytest.approx(float(expected[0]), abs=1e-6)
    assert {path.name for path in (tmp_path / "cache" / "bundles").iterdir()} == {bundle.fingerprint for bundle in published.bundles}


def _versions(deployed: Deployed) -> set[str]:
    return {deployed.get("/predict", ROW)[1]["model_version"] for _ in range(20)}


def _table() -> Any:
    import pyarrow as pa

    return pa.table({"color": pa.array([ROW["color"]]), "size": pa.array([ROW["size"]], pa.float64()), "weight": pa.array([ROW["weight"]], pa.float64())})


@pytest.fixture
def build() -> Build:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's, as it is imported
        from serve.ray_service import build as function
    return function


@pytest.mark.parametrize(
    ("args", "where"),
    [
        ({"tracking_uri": "http://mlflow:5000"}, "args.model"),
        ({"model": "flights"}, "args.tracking_uri"),
        ({"model": "flights", "tracking_uri": "mlflow:5000"}, "args.tracking_uri"),
        ({"model": "flights", "tracking_uri": "http://mlflow:5000", "replicas": 0}, "args.replicas"),
        ({"model": "flights", "tracking_uri": "http://mlflow:5000", "others": [""]}, "args.others.0"),
        ({"model": "flights", "tracking_uri": "http://mlflow:5000", "alais": "champion"}, "args.alais"),
    ],
)
def test_wrong_arguments_say_which(build: Build, args: dict[str, Any], where: str) -> None:
    with pytest.raises(SpecError, match="serveConfigV2") as wrong:
        build(args)
    assert wrong.value.where == where


def test_a_password_in_the_address_would_be_shown_by_serve_and_is_refused(build: Build) -> None:
    with pytest.raises(SetupError, match="may not carry credentials"):
        build({"model": "flights", "tracking_uri": "http://ann:secret@mlflow:5000"})


def test_the_pods_variables_stand_in_for_arguments(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEATRIAL_MODEL_NAME", "flights")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    bound = build({"replicas": 3})._bound_deployment
    assert (bound.init_args, bound.num_replicas) == ((("flights",), "http://mlflow:5000", "champion"), 3)
    assert build({"alias": "challenger", "model": "other"})._bound_deployment.init_args == (("other",), "http://mlflow:5000", "challenger")
    assert build({"others": ["delays"]})._bound_deployment.init_args[0] == ("flights", "delays")
