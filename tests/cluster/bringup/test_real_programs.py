"""The scripted programs stand for real ones: kubectl's endless output, and values that the real helm accepts."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.bringup import chart, operator
from cluster.bringup.helm import Source
from cluster.bringup.kubectl import Kubectl
from cluster.bringup.providers import open_provider
from cluster.bringup.runner import Runner
from cluster.bringup.settings import NODE_PORT, Settings
from cluster.bringup.waiting import deployment, wait
from jobs.control.home import Home
from jobs.control.spec import Images
from tests import kube_tools

RESOURCES = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}], "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"}}
        ],
    },
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": name, "kind": kind, "namespaced": True, "verbs": ["get", "list", "watch"]} for name, kind in (("pods", "Pod"), ("events", "Event"))
        ],
    },
    "/apis/apps/v1": {
        "kind": "APIResourceList",
        "groupVersion": "apps/v1",
        "resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True, "verbs": ["get", "list", "watch"]}],
    },
}


class _Api(BaseHTTPRequestHandler):
    """What kubectl asks before it watches; then one Deployment that becomes ready when the test says so."""

    protocol_version = "HTTP/1.1"
    ready = threading.Event()

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path in RESOURCES:
            self._answer(RESOURCES[path])
        elif "watch=true" in query:
            self._watch(path)
        else:
            kind = {"pods": "PodList", "events": "EventList", "deployments": "DeploymentList"}.get(path.rsplit("/", 1)[-1])
            version = "apps/v1" if "/apps/" in path else "v1"
            items = [_deployment({})] if kind == "DeploymentList" else []
            self._answer({"kind": kind, "apiVersion": version, "metadata": {"resourceVersion": "1"}, "items": items} if kind else {"kind": "Status"})

    def _answer(self, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _watch(self, path: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.ready.wait(20)
        if path.endswith("deployments"):
            line = (
                json.dumps({"type": "MODIFIED", "object": _deployment({"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1})}).encode()
                + b"\n"
            )
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
        threading.Event().wait(2)  # the connection stays open, as a watch's does
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        return


def _deployment(status: dict[str, int]) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "seatrial", "generation": 1, "uid": "1", "resourceVersion": "1"}
    return {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": metadata, "spec": {"replicas": 1}, "status": status}


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubectl]:
    _Api.ready.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("HOME", str(tmp_path))  # its cache of what a server offers
    monkeypatch.setenv("PATH", str(kube_tools.binary("kubectl").parent))
    yield Kubectl(Runner(), "here", "seatrial")
    _Api.ready.set()
    server.shutdown()
    server.server_close()


def test_kubectl_tells_a_change_at_once(kubectl: Kubectl) -> None:
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text == "web: 0 of 1 pods ready":
            _Api.ready.set()  # only now: what follows was watched, not listed

    wait(kubectl, {"deployments": deployment("web")}, 20, say)
    assert said[-1] == "web: 0 of 1 pods ready"


def test_what_kubectl_says_of_a_kind_that_is_not_served(kubectl: Kubectl) -> None:
    assert kubectl.get("rayservices.ray.io", "seatrial") is None
    assert kubectl.list("rayjobs.ray.io") == []


def test_a_stream_that_cannot_begin_says_why(kubectl: Kubectl) -> None:
    told: queue.Queue[Any] = queue.Queue()
    stream = kubectl.watch("rayservices", told)
    end = told.get(timeout=20).end
    stream.close()
    assert end is not None
    assert "doesn't have a resource type" in end.err


@pytest.mark.parametrize("provider", ["kind", "minikube", "existing"])
@pytest.mark.parametrize("gpu", [False, True], ids=["cpu", "gpu"])
def test_helm_renders_what_a_provider_gives_it(provider: str, gpu: bool, tmp_path: Path) -> None:
    settings = Settings(
        provider, Home(tmp_path), context="here", gpu=gpu, images=Images(ray="r.example/ray:1", spark="r.example/spark:1", pull_secrets=("pull",))
    )
    source = chart.source(settings, open_provider(settings, Runner()), {"ray": {"ray": "2.60.0"}})
    objects = _rendered(source)
    (service,) = [body for body in objects if body["kind"] == "RayService"]
    (head,) = service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert head["image"] == "r.example/ray:1"
    (versions,) = [body for body in objects if body["metadata"]["name"] == "seatrial-versions"]
    assert json.loads(versions["data"]["ray-image"])["ray"] == "2.60.0"
    names = {(body["kind"], body["metadata"]["name"]) for body in objects}
    assert {("Deployment", chart.MLFLOW), ("RayService", chart.SERVICE), ("PersistentVolumeClaim", "seatrial-data")} <= names


def test_kinds_port_and_store_are_what_the_chart_renders(tmp_path: Path) -> None:
    settings = Settings("kind", Home(tmp_path))
    objects = _rendered(chart.source(settings, open_provider(settings, Runner()), {}))
    ports = [port.get("nodePort") for body in objects if body["kind"] == "Service" for port in body["spec"]["ports"]]
    assert NODE_PORT in ports
    (volume,) = [body for body in objects if body["kind"] == "PersistentVolume"]
    assert volume["spec"]["hostPath"]["path"] == "/seatrial-store"
    assert volume["metadata"]["name"] == "seatrial-seatrial-data", "what `down --purge` removes"


def test_a_digest_changes_with_whatever_a_release_is_made_of(tmp_path: Path) -> None:
    (folder := tmp_path / "chart").mkdir()
    (folder / "values.yaml").write_text("a: 1")
    (extra := tmp_path / "extra.yaml").write_text("b: 1")
    source = Source(str(folder), values=(extra,))
    seen = {source.digest(), replace(source, sets=("a=2",)).digest(), replace(source, version="2").digest()}
    (folder / "values.yaml").write_text("a: 2")
    seen.add(source.digest())
    extra.write_text("b: 2")
    seen.add(source.digest())
    assert len(seen) == 5
    assert source.digest() == source.digest()


def test_the_operators_chart_may_be_a_file(tmp_path: Path) -> None:
    settings = Settings("kind", Home(tmp_path))
    assert "--repo" in operator.source(settings).arguments()
    assert operator.source(replace(settings, operator_chart="operator.tgz")).arguments() == ["operator.tgz"]


def _rendered(source: Source) -> list[dict[str, Any]]:
    argv = [str(kube_tools.binary("helm")), "template", "seatrial", *source.arguments(), "--namespace", "seatrial"]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return [body for body in yaml.safe_load_all(answer.stdout) if body]
