"""One step's plan for a cluster: what pods see, what travels how, and the handle."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cluster.handles import Handle
from cluster.kubernetes_backend import KubernetesBackend
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Job
from jobs.control.backend import backend_of, open_backend
from jobs.control.home import Home
from jobs.control.plan import Plan, Source
from jobs.control.spec import KubernetesTarget, Step
from tests.cluster.jobs import ETL, JUDGE, RUN, TRAIN, code, plan
from tests.cluster.kube_server import CONTEXT, NAMESPACE, KubeServer


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


def _plan_with_code(backend: KubernetesBackend, source: Source) -> Plan:
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


def test_a_deploy_step_is_told_paths_and_addresses_as_its_pod_knows_them(backend: KubernetesBackend, tmp_path: Path) -> None:
    step, job = Step(kind="deploy"), Job(pipeline="parcels", run=RUN, step="answer", kind="deploy", fingerprint="f" * 64)
    context = {"SEATRIAL_MODEL_URI": f"pvc://seatrial-data/runs/{RUN}/train/bundle", "SEATRIAL_TRACKING_URI": "http://localhost:5000"}

    def told(**more: str) -> dict[str, str]:
        body = backend.plan(step, job, {}, code(tmp_path), context | more).requests[-1].body
        return {each["name"]: each.get("value", "") for each in body["spec"]["template"]["spec"]["containers"][0]["env"]}

    assert told()["SEATRIAL_MODEL_URI"] == f"/seatrial/store/runs/{RUN}/train/bundle"
    assert told()["SEATRIAL_TRACKING_URI"] == "http://seatrial-mlflow:5000"  # not where the driver reaches it from outside
    assert told(SEATRIAL_MODEL_URI="mlflow-artifacts:/1/r/artifacts/bundle")["SEATRIAL_MODEL_URI"] == "mlflow-artifacts:/1/r/artifacts/bundle"
