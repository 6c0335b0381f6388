"""The backend against an API server in this process: submit, states, stop and list, by any process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.kubernetes_backend import KubernetesBackend
from jobs.contracts.errors import RequestError, SetupError
from jobs.contracts.states import JobState
from jobs.control.home import Home
from jobs.control.spec import KubernetesTarget
from tests.cluster.conftest import open_again
from tests.cluster.jobs import ETL, JUDGE, TRAIN, name_of, plan, submitted
from tests.cluster.kube_server import CONTEXT, KubeServer

# Submit


def test_submitting_twice_makes_one_job(server: KubeServer, backend: KubernetesBackend, tmp_path: Path, home: Home) -> None:
    step_plan = plan(backend, tmp_path)
    assert backend.submit(step_plan) == open_again(home).submit(step_plan) == step_plan.handle
    assert server.names("RayJob") == [name_of(step_plan.handle)]
    assert len(server.names("ConfigMap")) == 2


def test_a_plan_made_without_a_context_is_submitted_to_the_current_one(server: KubeServer, backend: KubernetesBackend, tmp_path: Path) -> None:
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
    assert list(backend.handles()) == []


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
    assert set(open_again(home).handles()) == handles
