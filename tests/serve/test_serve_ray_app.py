"""The service on real Ray Serve, following a real MLflow registry: up, answer, swap under load, deploy, down."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

import serve
from jobs.control import ingress
from tests.serve.conftest import ROW, Published

pytestmark = pytest.mark.timeout(480)

DESCRIBE = """
import json, sys
from ray import serve as ray_serve
from serve import ray_app
ray_app.join(sys.argv[1])
print(json.dumps(ray_serve.get_app_handle(ray_app.APP).describe.remote().result(timeout_s=20)))
"""


METRICS = """
import sys, urllib.request
import ray
from serve import ray_app
ray_app.join(sys.argv[1])
for node in ray.nodes():
    print(urllib.request.urlopen(f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics", timeout=10).read().decode())
"""


@dataclass
class Cluster:
    """A Ray of its own, held by the same program that holds it in a local run."""

    head: subprocess.Popen[bytes]
    address: str
    environment: dict[str, str]
    port: int
    ready: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ray_app(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "serve.ray_app", *arguments, "--ray-address", self.address)

    def up(self, tracking_uri: str) -> subprocess.CompletedProcess[str]:
        return self.ray_app(
            "up", "--model", "parcels", "--model", "letters", "--tracking-uri", tracking_uri, "--port", str(self.port), "--ready", str(self.ready)
        )

    def python(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, *argv], env=self.environment, capture_output=True, text=True, timeout=120, check=False)


@dataclass
class Client:
    """Posts rows from two threads until told to stop."""

    url: str
    answers: list[tuple[str, str, float]] = field(default_factory=list)  # version in the body, in the header, probability
    failures: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopped.is_set():
            try:
                body, version = post(f"{self.url}/predict", ROW)
                self.answers.append((body["model_version"], version, body["predictions"][0]["probability"]))
            except urllib.error.HTTPError as error:
                self.failures.append(f"{error}: {error.read()[:300]!r}")
            except OSError as error:
                self.failures.append(str(error))

    def __enter__(self) -> Client:
        self._threads = [threading.Thread(target=self.run) for _ in range(2)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def registry(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """MLflow's own client on a fresh store with both bundles registered, and the second as another model too; aliases point to version 1."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db")
    client.create_registered_model("parcels")
    for version in (1, 2):
        made = client.create_model_version("parcels", published.uri(version))
        client.set_model_version_tag("parcels", made.version, "seatrial.bundle", published.bundles[version - 1].fingerprint)
    client.set_registered_model_alias("parcels", "champion", "1")
    client.create_registered_model("letters")
    client.create_model_version("letters", published.uri(2))
    client.set_registered_model_alias("letters", "champion", "1")
    return client


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("ray")
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)} | ingress.flags()
    with (folder / "ray.log").open("wb") as log:
        head = subprocess.Popen(
            [sys.executable, "-m", "jobs.steps.ray_head", "--ready", str(folder / "ray.json"), "--cpus", "2"], env=environment, stdout=log, stderr=log
        )
    try:
        wait_for(folder / "ray.json", head)
        yield Cluster(head, json.loads((folder / "ray.json").read_bytes())["address"], environment, free_port(), folder / "serve.json")
    finally:
        head.send_signal(signal.SIGTERM)
        head.wait(timeout=60)


def test_up_answer_swap_deploy_down(cluster: Cluster, registry: Any, published: Published, tmp_path: Path) -> None:
    started = cluster.up(registry._registry_uri)
    assert started.returncode == 0, started.stderr
    assert json.loads(cluster.ready.read_bytes())["url"] == cluster.url
    wait_until_ready(cluster.url)

    described = json.loads(cluster.python("-c", DESCRIBE, cluster.address).stdout)
    assert (described["package"], described["engines"]) == (serve.__file__, [])

    again = cluster.up(registry._registry_uri)  # the port is taken now, by ourselves
    assert (again.returncode, f"port {cluster.port} cannot be used" in again.stderr) == (2, True)

    both = [post(f"{cluster.url}/models/{name}/predict", ROW) for name in ("parcels", "letters")]
    assert [(body["model"], version, body["bundle"]) for body, version in both] == [
        ("parcels", "1", published.bundles[0].fingerprint),
        ("letters", "1", published.bundles[1].fingerprint),
    ]

    with Client(cluster.url) as client:
        wait(lambda: len(client.answers) > 50)
        registry.set_registered_model_alias("parcels", "champion", "2")
        assert deploy(cluster, published, tmp_path, version=2)["max_difference"] <= 1e-6
        wait(lambda: len(client.answers) > 300)
    assert post(f"{cluster.url}/models/letters/predict", ROW)[1] == "1"  # the other model stays where it is
    assert deploy(cluster, published, tmp_path, version=1, model="letters")["max_difference"] <= 1e-6
    assert client.failures == []
    assert {body for body, _, _ in client.answers} == {"1", "2"}
    assert len({(body, header, probability) for body, header, probability in client.answers}) == 2  # each version has one answer to this row

    assert listening(cluster.head.pid) == ({"127.0.0.1"} if ingress.wanted() else set())
    wait(lambda: scored_by_version(cluster.python("-c", METRICS, cluster.address).stdout) >= {"1", "2"})

    with Client(cluster.url) as client:  # another pipeline's model joins those that are served
        more = cluster.ray_app("up", "--if-absent", "--model", "numbers", "--tracking-uri", registry._registry_uri, "--port", str(cluster.port))
    assert more.returncode == 0, more.stderr
    with urllib.request.urlopen(f"{cluster.url}/v2", timeout=20) as answer:
        assert json.load(answer)["models"] == ["parcels", "letters", "numbers"]
    assert client.failures == []
    assert post(f"{cluster.url}/predict", ROW)[1] == "2"

    assert cluster.ray_app("down").returncode == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(cluster.url, timeout=5)
    wait(lambda: not any("Serve" in name or "Proxy" in name for name in descendants(cluster.head.pid).values()))
    assert cluster.head.poll() is None  # the Ray itself lives on


@pytest.mark.parametrize(("address", "message"), [("", "no Ray to join"), ("127.0.1.1:1", "no Ray answers"), ("nonsense", "no Ray answers")])
def test_a_ray_that_is_not_there_is_a_request_error(address: str, message: str) -> None:
    wrong = subprocess.run([sys.executable, "-m", "serve.ray_app", "down", "--ray-address", address], capture_output=True, text=True, timeout=60, check=False)
    assert (wrong.returncode, message in wrong.stderr) == (2, True), wrong.stderr


def test_without_a_ray_to_join_it_holds_one_until_told_to_end(tmp_path: Path) -> None:
    ready, port = tmp_path / "serve.json", free_port()
    argv = ["-m", "serve.ray_app", "up", "--model", "parcels", "--tracking-uri", f"sqlite:///{tmp_path}/none.db", "--port", str(port), "--ready", str(ready)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, *argv], stdout=log, stderr=log)
    try:
        wait_for(ready, process)
        assert json.loads(ready.read_bytes()) == {"url": f"http://127.0.0.1:{port}", "pid": process.pid}
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=10)
        family = descendants(process.pid)
        process.terminate()
        assert process.wait(timeout=60) == 130
        wait(lambda: not any(each in running() for each in family))
    finally:
        process.terminate()  # a service that nobody ends outlives the tests


def listening(root: int) -> set[str]:
    """Addresses on which HAProxy, and the replicas for HTTP, listen; a worker's own port is Ray's business."""
    family = {psutil.Process(pid): command for pid, command in descendants(root).items()}
    ports = {process: range(65536) if command.startswith("haproxy") else range(30000, 31001) for process, command in family.items()}
    found = [(each.laddr, ports[process]) for process in family for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    return {address.ip for address, wanted in found if address.port in wanted}


def scored_by_version(metrics: str) -> set[str]:
    """Versions that Ray's metrics know to have scored rows."""
    return set(re.findall(r'^ray_seatrial_rows_total{.*model_version="(\d+)".*} [1-9]', metrics, re.MULTILINE))


def deploy(cluster: Cluster, published: Published, folder: Path, *, version: int, model: str = "parcels") -> dict[str, Any]:
    job = {"pipeline": "p", "run": "r", "step": "serve", "kind": "deploy", "inputs": ["dataset"], "fingerprint": "f"}
    (folder / "job.json").write_text(json.dumps(job))
    settings = {
        "SERVE_URL": cluster.url,
        "MODEL_NAME": model,
        "MODEL_VERSION": str(version),
        "MODEL_URI": published.uri(version if model == "parcels" else 2),
        "INPUT_DATASET": str(published.dataset),
    }
    environment = os.environ | {f"SEATRIAL_{name}": value for name, value in settings.items()}
    done = subprocess.run(
        [sys.executable, "-m", "serve.deploy", "--job", str(folder / "job.json")], env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "outputs.json").read_bytes())["summary"]  # type: ignore[no-any-return]


def post(url: str, body: Any) -> tuple[Any, str]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer), answer.headers["x-seatrial-model-version"]


def wait_until_ready(url: str) -> None:
    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/v2/health/ready", timeout=5):
                return True
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return False
            raise

    wait(ready)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    wait(lambda: path.exists() or process.poll() is not None)
    assert path.exists(), "Ray did not start"


def wait(condition: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def running() -> dict[int, tuple[int, str]]:
    """Process id to (parent's id, command line), zombies left out."""
    rows = subprocess.run(["ps", "-eo", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True).stdout.splitlines()
    return {int(pid): (int(parent), args) for pid, parent, state, args in (row.split(None, 3) for row in rows) if state[0] != "Z"}


def descendants(root: int) -> dict[int, str]:
    """Process id to command line of everything below one process; by parents, because Ray starts sessions of its own."""
    table, family = running(), {root}
    while more := {pid for pid, (parent, _) in table.items() if parent in family} - family:
        family |= more
    return {pid: table[pid][1] for pid in family - {root}}
