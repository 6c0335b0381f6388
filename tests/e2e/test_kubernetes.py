"""The tiny pipeline on Kubernetes: an API server in this process, and a node that really runs every container as a process here.

What runs is what was rendered: command, variables, mounted files, the tar streams of the staging pod. The ETL uses Sail, because
a Spark driver would ask for executor pods with an image of their own.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from jobs.control.rollout.standing import StandingReader
from serve.asgi import Application
from serve.rollout.traffic import RolloutTraffic
from tests.cluster.kube_server import KubeServer, serving, write_kubeconfig
from tests.cluster.node import Node
from tests.e2e.conftest import Place, wait_until

FILE = "tiny/pipeline.yaml"
ON = ("--on", "kubernetes", "--set", "steps.prepare.params.engine=sail", "--set", "targets.kubernetes.service=answers")
TRACKING = "http://seatrial-mlflow:5000"
LONG = ("--set", "steps.fit.params.epochs_at_most=200", "--set", "steps.fit.resources.workers=1")
STEPS = ("prepare", "plain", "fit", "judge", "answer")


@dataclass(frozen=True)
class Cluster:
    server: KubeServer
    volume: Path
    hosts: dict[str, str]  # address in the cluster -> what stands in for it here

    def variables(self, handle: str) -> dict[str, str]:
        """What a RayJob tells its head."""
        head = (self.server.get("RayJob", handle.rpartition("/")[2]) or {})["spec"]["rayClusterSpec"]["headGroupSpec"]
        return {each["name"]: each["value"] for each in head["template"]["spec"]["containers"][0]["env"]}

    def epochs(self) -> list[int]:
        lines = [line for path in self.volume.glob("runs/*/fit/metrics.jsonl") for line in path.read_text().splitlines()]
        return [json.loads(line)["epoch"] for line in lines if '"epoch"' in line and line.endswith("}")]


@pytest.fixture
def registry(place: Place) -> str:
    """Of whoever drives: the home's own, as if it were the server of the chart."""
    return f"sqlite:///{place.folder / '.seatrial' / 'mlflow.db'}"


@pytest.fixture
def service(registry: str) -> Iterator[str]:
    """What the chart's RayService answers with: the serving application, following the champion."""
    app = Application(RolloutTraffic("tiny", StandingReader(registry, "tiny"), poll_seconds=0.05))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, name="service")
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def cluster(place: Place, service: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    (volume := place.folder / "volume").mkdir()
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with serving(volume) as (server, address):
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(place.folder / "kubeconfig", address)))
        inside = {"KUBECONFIG": str(write_kubeconfig(place.folder / "kubeconfig-inside", address, context="inside"))}
        hosts = {"http://answers:8000": service}
        with Node(server, hosts, inside) as node:
            node.take_all()
            yield Cluster(server, volume, hosts)


def test_a_killed_client_loses_nothing_on_kubernetes(place: Place, cluster: Cluster) -> None:
    client = place.start("run", FILE, *ON, *LONG)
    wait_until(lambda: client.poll() is not None or len(cluster.epochs()) >= 2)
    assert client.poll() is None, client.communicate()
    client.kill()
    client.communicate()
    record = place.newest_run()
    handle = record["steps"]["fit"]["handle"]
    assert place.json("status", handle)["state"] == "Running"
    assert place.run("stop", handle).returncode == 0
    assert place.json("status", handle)["state"] == "Stopped"
    assert place.run("logs", handle).returncode == 0
    reached = max(cluster.epochs())

    finished = place.run("run", "--resume")
    assert finished.returncode == 0, finished.stderr
    assert f"continuing {record['run']}" in finished.stderr
    ended = place.newest_run()
    assert (ended["run"], ended["target"], ended["state"]) == (record["run"], "kubernetes", "Succeeded")
    assert cluster.epochs().count(1) == 1  # training went on from its checkpoint
    assert max(cluster.epochs()) > reached
    assert ended["steps"]["answer"]["summary"]["max_difference"] <= 1e-5
    assert [version["version"] for version in place.json("models", "list")] == ["1"]
    assert cluster.variables(handle)["MLFLOW_TRACKING_URI"] == TRACKING  # where nobody answers: training writes to no registry
    logs = place.folder / ".seatrial" / "runs" / record["run"]
    assert all((logs / step / "log.txt").exists() for step in STEPS)  # they outlive the cluster
    assert "features: " in (logs / "prepare" / "log.txt").read_text()

    again = place.run("run", FILE, *ON, *LONG)
    assert again.returncode == 0, again.stderr
    assert {step for step, each in place.newest_run()["steps"].items() if each["reused"]} == set(STEPS) - {"answer"}


def test_a_detached_driver_runs_in_the_cluster(place: Place, cluster: Cluster, registry: str) -> None:
    """The client is gone at once. The context is the client's word for the cluster: the driver finds it under another."""
    cluster.hosts[TRACKING] = registry
    quick = ("--set", "steps.fit.resources.workers=0", "--set", "targets.kubernetes.context=practice")
    started = place.json("run", FILE, *ON, *quick, "--detach")
    assert started["driver"].startswith("kubernetes://practice/seatrial/Job/tiny-driver-")
    ended = place.run("status", started["driver"], "--wait", "--timeout", "200")
    logs = place.run("logs", started["driver"]).stdout
    assert ended.returncode == 0, ended.stderr + logs
    assert [f"{step} succeeded" for step in STEPS if f"{step} succeeded" not in logs] == []

    record = json.loads((cluster.volume / "runs" / started["run"] / "run.json").read_text())
    assert (record["run"], record["target"], record["state"], record["model_version"]) == (started["run"], "kubernetes", "Succeeded", "1")
    assert {step["handle"].rpartition("/Job/")[0] for step in record["steps"].values()} == {"kubernetes://inside/seatrial"}
    assert record["steps"]["answer"]["summary"]["max_difference"] <= 1e-5
    assert (cluster.volume / "runs" / started["run"] / "fit" / "log.txt").exists()
    # Whoever drives, a step has the same fingerprint: the driver has seen the code and the inputs that the client has.
    assert record["steps"]["prepare"]["fingerprint"] in place.run("plan", FILE, *ON, "--output", "yaml").stdout
