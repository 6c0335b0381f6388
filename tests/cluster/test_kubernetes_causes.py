"""What a cluster says before a plan is sent, and why a job does not run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster.kubernetes_backend import KubernetesBackend
from jobs.contracts import versions
from jobs.control.home import Home
from jobs.control.spec import KubernetesTarget, Targets
from tests.cluster.jobs import ETL, JUDGE, name_of, plan, submitted
from tests.cluster.kube_server import KubeServer, write_kubeconfig

# Check


def test_a_check_that_finds_nothing_sends_nothing(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    assert backend.check(plan(backend, tmp_path)) == []
    assert server.names("RayJob") == server.names("ConfigMap") == []


def test_a_check_says_what_the_cluster_would_refuse(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    server.serves_rayjobs = False
    server.refusals.append(("POST .*configmaps", 418, "no configuration before tea"))
    found = backend.check(plan(backend, tmp_path))
    assert "missing-operator" in [cause.name for cause in found]
    assert any("before tea" in f"{cause.what} {cause.evidence}" for cause in found)


def test_a_check_of_a_cluster_that_does_not_answer(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")))
    backend = KubernetesBackend(home, Targets().kubernetes)
    found = backend.check(plan(backend, tmp_path))
    assert len(found) == 1
    assert "127.0.0.1" in f"{found[0].what} {found[0].evidence}"


def test_a_check_of_another_namespace(server: KubeServer, home: Home, tmp_path: Path) -> None:
    backend = KubernetesBackend(home, KubernetesTarget(namespace="elsewhere"))
    assert [cause.name for cause in backend.check(plan(backend, tmp_path))] == ["namespace"]


def test_a_check_compares_versions_with_the_images(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    same = versions.installed()
    other = json.dumps({**same, "spark": "1.0.0"})  # this step does not use Spark's image
    server.put("ConfigMap", {"metadata": {"name": "seatrial-versions"}, "data": {"ray-image": json.dumps(same), "spark-image": other}})
    assert backend.check(plan(backend, tmp_path)) == []
    server.put("ConfigMap", {"metadata": {"name": "seatrial-versions"}, "data": {"ray-image": json.dumps({**same, "ray": "1.0.0"})}})
    found = backend.check(plan(backend, tmp_path))
    assert [cause.name for cause in found] == [versions.SKEW]
    assert "1.0.0" in found[0].what


# Explain


@pytest.mark.parametrize(
    ("reason", "message", "expected"),
    [
        ("FailedScheduling", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", "unschedulable"),
        ("Failed", 'Failed to pull image "seatrial-ray:0.1.0": rpc error: code = NotFound desc = not found', "image-pull"),
    ],
)
def test_events_of_a_waiting_pod_are_explained(
    server: KubeServer, backend: KubernetesBackend, tmp_path: Path, reason: str, message: str, expected: str
) -> None:
    handle = submitted(backend, tmp_path, JUDGE)
    body = server.get("Job", name_of(handle))
    assert body is not None
    server.add_pod("odd-name", body, "Pending", containerStatuses=[])
    server.add_event("Pod", "odd-name", reason, message)
    server.add_event("Pod", "somebody-elses", "FailedScheduling", "0/3 nodes are available: 3 Insufficient memory.")
    found = backend.explain(handle)
    assert any(cause.name.startswith(expected) for cause in found), found
    assert "memory" not in " ".join(cause.evidence for cause in found)


def test_nothing_to_explain(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    handle = submitted(backend, tmp_path, JUDGE)
    body = server.get("Job", name_of(handle))
    assert body is not None
    server.add_pod("pod-1", body)
    server.add_event("Pod", "pod-1", "FailedScheduling", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")
    assert backend.explain(handle) == [], "it has been placed since"
    assert backend.explain(handle.replace("parcels", "nobody")) == []


def test_an_operator_that_says_nothing_is_missing(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    handle = submitted(backend, tmp_path)
    assert backend.explain(handle) == []
    body = server.get("RayJob", name_of(handle))
    assert body is not None
    body["metadata"]["creationTimestamp"] = "2026-11-24T10:00:00Z"
    server.put("RayJob", body)
    assert [cause.name for cause in backend.explain(handle)] == ["missing-operator"]


def test_how_a_container_ended_is_explained(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    handle = submitted(backend, tmp_path)
    body = server.get("RayJob", name_of(handle))
    assert body is not None
    server.set_status("RayJob", name_of(handle), rayClusterName="c-1", jobDeploymentStatus="Running", jobStatus="RUNNING")
    killed = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    worker = {"name": "ray-worker", "ready": True, "restartCount": 1, "state": {"running": {}}, "lastState": killed}
    server.add_pod("worker", body, labels={"ray.io/cluster": "c-1"}, containerStatuses=[worker])
    assert [cause.name for cause in backend.explain(handle)] == ["out-of-memory"]
    server.set_status("RayJob", name_of(handle), jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    assert backend.explain(handle) == [], "it has succeeded in spite of that"


def test_an_executor_is_explained_with_its_driver(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    handle = submitted(backend, tmp_path, ETL)
    body = server.get("Job", name_of(handle))
    assert body is not None
    driver = server.add_pod("driver", body)
    executor = server.add_pod("exec-1", body, "Pending", labels={"spark-role": "executor"}, containerStatuses=[])
    server.put("Pod", {**executor, "metadata": {**executor["metadata"], "ownerReferences": [{"uid": driver["metadata"]["uid"]}]}})
    server.add_event("Pod", "exec-1", "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.")
    assert [cause.name for cause in backend.explain(handle)] == ["unschedulable"]
