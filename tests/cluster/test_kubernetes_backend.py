"""The backend against an API server in this process: from submit to a stopped, failed or finished job, by any process."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from cluster.handles import Handle
from cluster.kubernetes_backend import KubernetesBackend
from jobs.contracts import versions
from jobs.contracts.errors import RequestError, SetupError
from jobs.contracts.states import JobState
from jobs.control.backend import backend_of, open_backend
from jobs.control.handles import Handles
from jobs.control.home import Home
from jobs.control.plan import Source
from jobs.control.spec import KubernetesTarget, Targets
from tests.cluster.conftest import open_again
from tests.cluster.jobs import ETL, JUDGE, RUN, TRAIN, code, plan
from tests.cluster.kube_server import CONTEXT, NAMESPACE, KubeServer, wait_for


def name_of(handle: str) -> str:
    return Handle.parse(handle).name


def submitted(backend: KubernetesBackend, folder: Path, fields: dict[str, object] | None = None) -> str:
    return backend.submit(plan(backend, folder, fields))


# Plans


def test_the_table_of_targets_leads_here(home: Home) -> None:
    assert isinstance(open_backend("kubernetes", home), KubernetesBackend)
    assert isinstance(backend_of("kubernetes://a/b/Job/c", home), KubernetesBackend)


def test_a_plan_is_pure(server: KubeServer, backend: KubernetesBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a plan uses no network"))
    raw = Source(str(tmp_path / "raw"), "a" * 64, 10, 2)
    first, second = (str(plan(backend, tmp_path, ETL, raw=raw)) for _ in range(2))
    assert first == second
    assert server.asked == []


def test_pods_see_the_path_where_everybody_else_sees_the_volume(backend: KubernetesBackend, tmp_path: Path) -> None:
    raw = Source(str(tmp_path / "raw"), "a" * 64, 10, 2)
    made = Source("pvc://seatrial-data/datasets/parcels/0", "d" * 64)
    found = plan(backend, tmp_path, JUDGE, raw=raw, dataset=made)
    pod = found.requests[-1].body["spec"]["template"]["spec"]["containers"][0]
    env = {each["name"]: each.get("value") for each in pod["env"]}
    assert found.folder == f"pvc://seatrial-data/runs/{RUN}/evaluate"
    assert found.outputs == {"report": f"{found.folder}/report"}
    assert env["SEATRIAL_STEP_DIR"] == f"/seatrial/store/runs/{RUN}/evaluate"
    assert env["SEATRIAL_OUTPUT_REPORT"] == f"/seatrial/store/runs/{RUN}/evaluate/report"
    assert env["SEATRIAL_INPUT_RAW"] == f"/seatrial/store/inputs/{'a' * 64}"
    assert env["SEATRIAL_INPUT_DATASET"] == "/seatrial/store/datasets/parcels/0"
    assert [(upload.source, upload.target) for upload in found.uploads] == [(raw.uri, f"pvc://seatrial-data/inputs/{'a' * 64}")]


def test_datasets_are_shared_between_runs(backend: KubernetesBackend, tmp_path: Path) -> None:
    assert plan(backend, tmp_path, ETL).outputs == {"dataset": f"pvc://seatrial-data/datasets/parcels/{'f' * 64}"}


def test_a_store_in_a_folder_of_the_claim(home: Home, tmp_path: Path) -> None:
    backend = KubernetesBackend(home, KubernetesTarget(context="c", store="pvc://claim/team/"))
    found = plan(backend, tmp_path, JUDGE, dataset=Source("pvc://claim/team/datasets/parcels/0", "d" * 64))
    env = {each["name"]: each.get("value") for each in found.requests[-1].body["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert found.folder == f"pvc://claim/team/runs/{RUN}/evaluate"
    assert env["SEATRIAL_INPUT_DATASET"] == "/seatrial/store/datasets/parcels/0"
    with pytest.raises(RequestError, match="not in the target's store"):
        plan(backend, tmp_path, JUDGE, dataset=Source("pvc://claim/other/datasets/parcels/0", "d" * 64))


def test_an_object_store_has_one_name_everywhere(home: Home, tmp_path: Path) -> None:
    backend = KubernetesBackend(home, KubernetesTarget(context="c", store="s3://bucket/seatrial"))
    found = plan(backend, tmp_path, JUDGE)
    env = {each["name"]: each.get("value") for each in found.requests[-1].body["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["SEATRIAL_OUTPUT_REPORT"] == found.outputs["report"] == f"s3://bucket/seatrial/runs/{RUN}/evaluate/report"


def test_little_code_travels_inside_the_plan_and_much_beside_it(backend: KubernetesBackend, tmp_path: Path) -> None:
    inside = plan(backend, tmp_path)
    assert "def build(): ...\n" in inside.requests[0].body["data"].values()
    assert inside.uploads == ()
    code(tmp_path, "#" * 800_000)
    big = Source(str(tmp_path / "code"), "c" * 64, 800_000, 1)
    (tmp_path / "code" / "shop" / "logo.png").write_bytes(b"\x89PNG\xff")
    for source in (big, Source(big.uri, "c" * 64, 10, 2)):
        step_plan = _plan_with_code(backend, source)
        assert [upload.target for upload in step_plan.uploads] == [f"pvc://seatrial-data/code/{'c' * 64}"]
        assert [request.kind for request in step_plan.requests] == ["ConfigMap", "RayJob"]


def test_much_code_needs_a_volume(home: Home, tmp_path: Path) -> None:
    backend = KubernetesBackend(home, KubernetesTarget(context="c", store="s3://bucket"))
    code(tmp_path)
    with pytest.raises(RequestError, match="too large for a ConfigMap"):
        _plan_with_code(backend, Source(str(tmp_path / "code"), "c" * 64, 800_000, 1))


def _plan_with_code(backend: KubernetesBackend, source: Source):  # type: ignore[no-untyped-def]
    from jobs.contracts.job import Job
    from jobs.control.spec import Step

    job = Job(pipeline="parcels", run=RUN, step="train", kind="train", fingerprint="f" * 64)
    return backend.plan(Step.model_validate(TRAIN), job, {}, source, {})


def test_a_handle_names_the_cluster_for_ever(backend: KubernetesBackend, tmp_path: Path, home: Home) -> None:
    assert plan(backend, tmp_path).handle.startswith(f"kubernetes://{CONTEXT}/{NAMESPACE}/RayJob/parcels-train-")
    named = KubernetesBackend(home, KubernetesTarget(context="arn:aws:eks:eu-west-1:1:cluster/big one"))
    handle = plan(named, tmp_path, JUDGE).handle
    assert handle.startswith(f"kubernetes://arn:aws:eks:eu-west-1:1:cluster%2Fbig%20one/{NAMESPACE}/Job/")
    assert Handle.parse(handle).context == "arn:aws:eks:eu-west-1:1:cluster/big one"
    assert str(Handle.parse(handle)) == handle


@pytest.mark.parametrize("text", ["local://a/b", "kubernetes://a/b/Job", "kubernetes://a/b/Pod/c", "kubernetes:///b/Job/c", "kubernetes://a/b/Job/c/d"])
def test_what_is_no_handle(text: str) -> None:
    with pytest.raises(RequestError, match="not a handle"):
        Handle.parse(text)


# Submit


def test_submitting_twice_makes_one_job(server: KubeServer, backend: KubernetesBackend, tmp_path: Path, home: Home) -> None:
    step_plan = plan(backend, tmp_path)
    assert backend.submit(step_plan) == open_again(home).submit(step_plan) == step_plan.handle
    assert server.names("RayJob") == [name_of(step_plan.handle)]
    assert len(server.names("ConfigMap")) == 2


def test_a_plan_made_without_a_context_is_submitted_to_the_current_one(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    from dataclasses import replace

    step_plan = plan(backend, tmp_path)
    handle = backend.submit(replace(step_plan, handle=step_plan.handle.replace(CONTEXT, "current")))
    assert handle == step_plan.handle


def test_something_else_with_the_same_name_is_an_error(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    backend.submit(plan(backend, tmp_path))
    with pytest.raises(RequestError, match="something else has this name"):
        backend.submit(plan(backend, tmp_path, digest="e" * 64))


def test_a_name_that_is_just_being_deleted_is_waited_for_by_the_user(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    step_plan = plan(backend, tmp_path, JUDGE)
    body = dict(step_plan.requests[-1].body)
    server.put("Job", {**body, "metadata": {**body["metadata"], "deletionTimestamp": "2026-11-24T10:00:00Z"}})
    with pytest.raises(RequestError, match="being deleted"):
        backend.submit(step_plan)


def test_deleting_the_main_object_takes_the_rest_along(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    first = submitted(backend, tmp_path, ETL)
    second = submitted(backend, tmp_path, JUDGE)
    assert (len(server.names("ConfigMap")), len(server.names("Service"))) == (3, 1)
    server.remove("Job", name_of(first))
    assert server.names("Service") == []
    assert len(server.names("ConfigMap")) == 2, "the code is still the second job's"
    server.remove("Job", name_of(second))
    assert server.names("ConfigMap") == []


def test_a_submit_that_died_half_way_is_completed(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    server.refusals.append(("POST .*rayjobs", 500, "killed"))
    with pytest.raises(Exception, match="killed"):
        submitted(backend, tmp_path)
    server.refusals.clear()
    handle = submitted(backend, tmp_path)
    owners = [server.get("ConfigMap", name)["metadata"]["ownerReferences"] for name in server.names("ConfigMap")]  # type: ignore[index]
    assert [[owner["name"] for owner in each] for each in owners] == [[name_of(handle)]] * 2


def test_no_ray_operator(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    server.serves_rayjobs = False
    with pytest.raises(SetupError, match="404") as caught:
        submitted(backend, tmp_path)
    assert "KubeRay" in caught.value.hint
    assert list(backend.list()) == []


# From start to end


def test_the_life_of_a_rayjob(server: KubeServer, backend: KubernetesBackend, tmp_path: Path, home: Home) -> None:
    handle = submitted(backend, tmp_path)
    name = name_of(handle)
    seen = [backend.status(handle)]
    for deployment, ray in (("Initializing", ""), ("Running", "PENDING"), ("Running", "RUNNING"), ("Complete", "SUCCEEDED")):
        server.set_status("RayJob", name, jobDeploymentStatus=deployment, jobStatus=ray)
        seen.append(open_again(home).status(handle))
    assert seen == [JobState.QUEUED, JobState.STARTING, JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED]
    server.remove("RayJob", name)
    assert backend.status(handle) == JobState.UNKNOWN


def test_the_life_of_a_job(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    handle = submitted(backend, tmp_path, JUDGE)
    job = server.get("Job", name_of(handle))
    assert job is not None
    seen = [backend.status(handle)]
    server.add_pod("pod-1", job, "Pending")
    seen.append(backend.status(handle))
    server.add_pod("pod-1", job, "Running")
    seen.append(backend.status(handle))
    server.set_status("Job", name_of(handle), conditions=[{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}])
    seen.append(backend.status(handle))
    assert seen == [JobState.QUEUED, JobState.QUEUED, JobState.RUNNING, JobState.FAILED]


@pytest.mark.parametrize(("kind", "fields"), [("RayJob", TRAIN), ("Job", JUDGE)])
def test_stop_from_another_process_twice(
    server: KubeServer, backend: KubernetesBackend, tmp_path: Path, home: Home, kind: str, fields: dict[str, object]
) -> None:
    handle = submitted(backend, tmp_path, fields)
    body = server.get(kind, name_of(handle))
    assert body is not None
    server.add_pod("pod-1", body)
    other = open_again(home)
    other.stop(handle)
    assert open_again(home).status(handle) == JobState.STOPPED
    assert server.names("Pod") == []
    asked = len(server.asked)
    other.stop(handle)
    assert [each for each in server.asked[asked:] if each.startswith("PATCH")] == []


@pytest.mark.parametrize(("kind", "fields"), [("RayJob", TRAIN), ("Job", JUDGE)])
def test_a_stopped_job_that_is_submitted_again_runs_again(
    server: KubeServer, backend: KubernetesBackend, tmp_path: Path, kind: str, fields: dict[str, object]
) -> None:
    handle = submitted(backend, tmp_path, fields)
    backend.stop(handle)
    assert submitted(backend, tmp_path, fields) == handle
    assert server.get(kind, name_of(handle))["spec"]["suspend"] is False  # type: ignore[index]
    assert backend.status(handle) == JobState.QUEUED


def test_stop_leaves_what_has_ended_as_it_ended(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
    handle = submitted(backend, tmp_path)
    server.set_status("RayJob", name_of(handle), jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    backend.stop(handle)
    backend.stop(handle.replace("parcels", "nobody"))
    assert backend.status(handle) == JobState.SUCCEEDED


def test_what_kueue_queues_is_stopped_by_its_workload(server: KubeServer, home: Home, tmp_path: Path) -> None:
    backend = KubernetesBackend(home, KubernetesTarget(queue="team"))
    handle = submitted(backend, tmp_path, JUDGE)
    body = server.get("Job", name_of(handle))
    assert body is not None
    server.put("Workload", {"metadata": {"name": "work", "labels": {"kueue.x-k8s.io/job-uid": body["metadata"]["uid"]}}, "spec": {"active": True}})
    server.put("Workload", {"metadata": {"name": "other", "labels": {}}, "spec": {"active": True}})
    backend.stop(handle)
    assert server.get("Workload", "work")["spec"]["active"] is False  # type: ignore[index]
    assert server.get("Workload", "other")["spec"]["active"] is True  # type: ignore[index]
    assert backend.status(handle) == JobState.STOPPED, "Kueue had not started it"
    submitted(backend, tmp_path, JUDGE)
    assert server.get("Workload", "work")["spec"]["active"] is True  # type: ignore[index]


def test_list_finds_jobs_of_every_process_and_nothing_else(server: KubeServer, backend: KubernetesBackend, tmp_path: Path, home: Home) -> None:
    handles = {submitted(backend, tmp_path), submitted(backend, tmp_path, JUDGE)}
    server.put("Job", {"metadata": {"name": "somebody-elses", "labels": {}}, "spec": {}})
    assert set(open_again(home).list()) == handles


# Logs


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
    from tests.cluster.kube_server import write_kubeconfig

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
    server.put("ConfigMap", {"metadata": {"name": "seatrial-versions"}, "data": {"ray-image": json.dumps(same)}})
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
