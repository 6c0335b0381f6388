"""Logs of a job, by whoever asks and however often the connection breaks."""

from __future__ import annotations

import threading
from pathlib import Path

from cluster.kubernetes_backend import KubernetesBackend
from jobs.control.handles import Handles
from jobs.control.home import Home
from tests.cluster.conftest import open_again
from tests.cluster.jobs import JUDGE, RUN, name_of, plan, submitted
from tests.cluster.kube_server import KubeServer, wait_for


def test_logs_are_followed_to_the_end_and_kept(server: KubeServer, backend: KubernetesBackend, tmp_path: Path, home: Home) -> None:
    handle = submitted(backend, tmp_path)
    name = name_of(handle)
    body = server.get("RayJob", name)
    assert body is not None
    server.set_status("RayJob", name, jobDeploymentStatus="Running", jobStatus="RUNNING")
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(open_again(home).logs(handle, follow=True)))
    reader.start()
    server.add_pod("submitter", body)
    server.say("submitter", "epoch 1")
    server.say("submitter", "epoch 2")
    wait_for(lambda: any(each.endswith("submitter/log") for each in server.asked))
    server.set_status("RayJob", name, jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    server.say("submitter", "done")
    server.set_status("Pod", "submitter", phase="Succeeded")
    reader.join(10)
    assert lines == ["epoch 1\n", "epoch 2\n", "done\n"]
    kept = home.runs / RUN / "train" / "log.txt"
    assert kept.read_text() == "epoch 1\nepoch 2\ndone\n"


def test_a_kept_log_outlives_the_cluster(server: KubeServer, backend: KubernetesBackend, tmp_path: Path, home: Home) -> None:
    step_plan = plan(backend, tmp_path, JUDGE)
    Handles(home).record(step_plan, "parcels", "evaluate")
    handle = backend.submit(step_plan)
    body = server.get("Job", name_of(handle))
    assert body is not None
    server.add_pod("pod-1", body, "Succeeded")
    server.say("pod-1", "good model")
    server.set_status("Job", name_of(handle), conditions=[{"type": "Complete", "status": "True"}])
    assert list(backend.logs(handle)) == ["good model\n"]
    server.remove("Job", name_of(handle))
    server.remove("Pod", "pod-1")
    assert list(open_again(home).logs(handle)) == ["good model\n"]


def test_a_broken_connection_repeats_nothing(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    handle = submitted(backend, tmp_path, JUDGE)
    body = server.get("Job", name_of(handle))
    assert body is not None
    server.add_pod("pod-1", body)
    second = "2026-11-24T10:00:01"
    stamps = [f"{second}.1", f"{second}.2", f"{second}.2", f"{second}.2", f"{second}.3", "2026-11-24T10:00:02.0"]
    for index, stamp in enumerate(stamps):
        server.say("pod-1", f"line {index}", f"{stamp}00000000Z")
    server.log_breaks = [2, 3, 5]
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(backend.logs(handle, follow=True)))
    reader.start()
    wait_for(lambda: sum(each.endswith("pod-1/log") for each in server.asked) >= 4)
    server.set_status("Job", name_of(handle), conditions=[{"type": "Complete", "status": "True"}])
    server.set_status("Pod", "pod-1", phase="Succeeded")
    reader.join(10)
    assert found == [f"line {index}\n" for index in range(len(stamps))]


def test_a_retry_speaks_after_the_pod_that_failed(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    handle = submitted(backend, tmp_path, JUDGE)
    body = server.get("Job", name_of(handle))
    assert body is not None
    for pod, phase in (("pod-b", "Failed"), ("pod-a", "Running")):
        server.add_pod(pod, body, phase)
        server.say(pod, f"{pod} speaks")
    assert list(backend.logs(handle)) == ["pod-b speaks\n", "pod-a speaks\n"]


def test_without_a_submitter_the_head_speaks(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    handle = submitted(backend, tmp_path)
    body = server.get("RayJob", name_of(handle))
    assert body is not None
    server.add_pod("head", body, labels={"ray.io/cluster": "c-1", "ray.io/node-type": "head"})
    server.add_pod("worker", body, labels={"ray.io/cluster": "c-1", "ray.io/node-type": "worker"})
    server.say("head", "ray started")
    server.say("worker", "worker started")
    server.set_status("RayJob", name_of(handle), rayClusterName="c-1", jobDeploymentStatus="Failed")
    assert list(backend.logs(handle)) == ["ray started\n"]


def test_a_pod_that_has_not_started_has_no_log(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    handle = submitted(backend, tmp_path, JUDGE)
    body = server.get("Job", name_of(handle))
    assert body is not None
    server.add_pod("pod-1", body, "Running")
    server.refusals.append(("pod-1/log", 400, 'container "step" in pod "pod-1" is waiting to start: ContainerCreating'))
    assert list(backend.logs(handle)) == []
