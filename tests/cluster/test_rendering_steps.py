"""What the job file says is what the objects say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.rendering import losses, main_object, staging_pod
from jobs.control.backend import MODULES
from jobs.control.spec import Kind, KubernetesTarget, Step
from tests.cluster import rendered
from tests.cluster.rendered import env, main, objects, step
from tests.cluster.test_rendering_names import LABEL
from tests.cluster.test_rendering_security import violations

RANGE = {"workers": {"min": 1, "max": 4}}


def pod_of(of: Step, target: KubernetesTarget | None = None) -> dict[str, Any]:
    return main(of, target)["spec"]["template"]["spec"]


def cluster_of(of: Step, target: KubernetesTarget | None = None) -> dict[str, Any]:
    return main(of, target)["spec"]["rayClusterSpec"]


def workers_of(of: Step, target: KubernetesTarget | None = None) -> dict[str, Any]:
    (group,) = cluster_of(of, target)["workerGroupSpecs"]
    return group


@pytest.mark.parametrize(
    ("of", "kinds"),
    [
        (step("etl"), ["ConfigMap", "ConfigMap", "Service", "Job"]),
        (step("etl", params={"engine": "sail"}), ["ConfigMap", "ConfigMap", "Job"]),
        (step("etl", resources={"workers": 0}), ["ConfigMap", "ConfigMap", "Job"]),
        (step("train"), ["ConfigMap", "ConfigMap", "RayJob"]),
        (step("train", resources={"workers": 0}), ["ConfigMap", "ConfigMap", "Job"]),
        (step("tune"), ["ConfigMap", "ConfigMap", "RayJob"]),
        (step("cross-validate"), ["ConfigMap", "ConfigMap", "RayJob"]),
        (step("cross-validate", resources={"workers": 0}), ["ConfigMap", "ConfigMap", "Job"]),
        (step("evaluate"), ["ConfigMap", "ConfigMap", "Job"]),
        (step("predict"), ["ConfigMap", "ConfigMap", "Job"]),
        (step("deploy"), ["ConfigMap", "ConfigMap", "Job"]),
    ],
)
def test_the_main_object_comes_last_and_all_are_named_alike(of: Step, kinds: list[str]) -> None:
    found = objects(of)
    assert [each["kind"] for each in found] == kinds
    assert (found[-1]["apiVersion"], found[-1]["kind"]) == main_object(of)
    assert {each["metadata"]["name"] for each in found[1:]} == {rendered.name_of(of)}


@pytest.mark.parametrize("kind", Kind)
def test_the_process_is_the_same_as_on_every_target(kind: Kind) -> None:
    body = main(rendered.driver() if kind == Kind.PIPELINE else step(kind))
    expected = f"python -m {MODULES[kind]} --job /seatrial/job/job.json"
    command = body["spec"]["entrypoint"] if body["kind"] == "RayJob" else " ".join(body["spec"]["template"]["spec"]["containers"][0]["command"])
    assert command == expected


def test_limits_and_retries_of_a_pod() -> None:
    spec = main(step("evaluate", retries=3, time_limit="2h"), KubernetesTarget(keep_finished="5m"))["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (3, 7200, 300)
    assert spec["podFailurePolicy"]["rules"] == [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2]}}]
    assert "activeDeadlineSeconds" not in main(step("evaluate"))["spec"]


def test_limits_and_retries_of_a_training() -> None:
    spec = main(step("train", retries=3, time_limit="2h"), KubernetesTarget(pending_limit="90s"))["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["preRunningDeadlineSeconds"]) == (3, 7200, 90)
    assert spec["submitterConfig"] == {"backoffLimit": 0}
    assert spec["shutdownAfterJobFinishes"]
    assert spec["ttlSecondsAfterFinished"] == 30, "a finished cluster must not keep its GPUs"
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}


def test_a_worker_gets_what_the_job_file_says_and_the_engine_its_own_beside_it() -> None:
    group = workers_of(step("train", resources={"workers": 3, "cpu": 1.5, "memory": "2Gi"}))
    amounts = group["template"]["spec"]["containers"][0]["resources"]
    assert amounts["requests"] == amounts["limits"] == {"cpu": "1500m", "memory": "3072Mi"}
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (3, 3, 3)
    assert group["rayStartParams"]["num-cpus"] == "1"
    assert cluster_of(step("train"))["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_gpus_are_asked_for_on_nodes_that_have_them() -> None:
    target = KubernetesTarget(node_selector={"zone": "a"}, gpu_node_selector={"pool": "gpu"}, gpu_runtime_class="nvidia")
    cluster = cluster_of(step("train", resources={"workers": 2, "gpu": 2, "accelerator": "Tesla T4"}), target)
    worker, head = cluster["workerGroupSpecs"][0]["template"]["spec"], cluster["headGroupSpec"]["template"]["spec"]
    assert worker["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert worker["nodeSelector"] == {"zone": "a", "nvidia.com/gpu.product": "Tesla-T4", "pool": "gpu"}
    assert worker["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert worker["runtimeClassName"] == "nvidia"
    assert head["nodeSelector"] == {"zone": "a"}
    assert "runtimeClassName" not in head
    assert "tolerations" not in head
    assert "nvidia.com/gpu" not in head["containers"][0]["resources"]["limits"]


def test_a_training_in_one_pod_asks_for_its_gpu_too() -> None:
    pod = pod_of(step("train", resources={"workers": 0, "gpu": 1, "memory": "4Gi"}), KubernetesTarget(gpu_runtime_class="nvidia"))
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["runtimeClassName"] == "nvidia"
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    shared = next(volume for volume in pod["volumes"] if volume["name"] == "shm")
    assert shared["emptyDir"] == {"medium": "Memory", "sizeLimit": "4096Mi"}
    assert "runtimeClassName" not in pod_of(step("train", resources={"workers": 0, "gpu": 1}))


def test_an_elastic_training_starts_small_and_grows() -> None:
    cluster = cluster_of(step("train", resources=RANGE))
    group, head = cluster["workerGroupSpecs"][0], cluster["headGroupSpec"]["template"]["spec"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (1, 1, 4), "KubeRay waits until all replicas run"
    assert cluster["enableInTreeAutoscaling"]
    assert head["automountServiceAccountToken"]
    assert "serviceAccountName" not in head, "KubeRay makes one that may change the cluster"
    assert {head["restartPolicy"], group["template"]["spec"]["restartPolicy"]} == {"Never"}, "KubeRay refuses anything else"


def test_kueue_starts_what_is_queued_and_sees_no_autoscaler() -> None:
    target = KubernetesTarget(queue="team")
    for of in (step("evaluate"), step("train"), step("etl")):
        body = main(of, target)
        assert body["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
        assert body["spec"]["suspend"]
        assert "queue-name" not in str(body["spec"]), "pods would be queued once more"
        assert "suspend" not in main(of)["spec"]
    elastic = step("train", resources=RANGE)
    assert "enableInTreeAutoscaling" not in cluster_of(elastic, target)
    assert workers_of(elastic, target)["replicas"] == 4
    assert any("Kueue" in loss for loss in losses(elastic, target))
    assert not list(losses(elastic))


def test_sail_gets_in_one_pod_what_the_workers_get_together() -> None:
    of = step("etl", params={"engine": "sail"}, resources={"workers": 3, "cpu": 0.5, "memory": "1Gi"})
    pod = pod_of(of)
    assert pod["containers"][0]["resources"]["limits"] == {"cpu": "1500m", "memory": "3072Mi"}
    assert pod["containers"][0]["image"] == KubernetesTarget().images.spark
    assert env(pod)["SEATRIAL_ENGINE"] == "sail"


def test_the_target_decides_places_and_addresses() -> None:
    of = step("deploy", env={"MLFLOW_TRACKING_URI": "http://mine", "PYTHONPATH": "/lib"})
    context = {"SEATRIAL_MODEL_NAME": "flights", "SEATRIAL_SERVE_URL": "http://127.0.0.1:1"}
    found = env(objects(of, KubernetesTarget(service="answers"), context=context)[-1]["spec"]["template"]["spec"])
    assert found["SEATRIAL_SERVE_URL"] == "http://answers:8000"
    assert found["SEATRIAL_MODEL_NAME"] == "flights"
    assert found["SEATRIAL_TRACKING_URI"] == "http://seatrial-mlflow:5000"
    assert found["MLFLOW_TRACKING_URI"] == "http://mine"
    assert found["PYTHONPATH"] == "/seatrial/code:/lib"
    assert found["SEATRIAL_INPUT_DATASET"] == "/seatrial/store/inputs/dataset"
    assert found["SEATRIAL_STEP_DIR"] == f"/seatrial/store/runs/{rendered.RUN}/work"
    assert "SEATRIAL_TRACKING_URI" not in env(pod_of(step("evaluate")))


def test_training_finds_its_ray_and_every_worker_the_code() -> None:
    cluster = cluster_of(step("train"))
    head, worker = cluster["headGroupSpec"]["template"]["spec"], cluster["workerGroupSpecs"][0]["template"]["spec"]
    assert env(head)["SEATRIAL_RAY_ADDRESS"] == "auto"
    for pod in (head, worker):
        assert {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]} == {"/tmp", "/seatrial/job", "/seatrial/code", "/seatrial/store"}


def test_a_claim_is_mounted_and_a_bucket_is_not() -> None:
    pod = pod_of(step("evaluate"), KubernetesTarget(store="pvc://mine/a/b/"))
    assert pod["volumes"][-1] == {"name": "store", "persistentVolumeClaim": {"claimName": "mine"}}
    assert pod["containers"][0]["volumeMounts"][-1] == {"name": "store", "mountPath": "/seatrial/store", "subPath": "a/b"}
    assert "persistentVolumeClaim" not in str(objects(step("train"), KubernetesTarget(store="s3://bucket")))


def test_code_that_lies_in_the_store_is_not_mounted() -> None:
    found = objects(step("train"), code="/seatrial/store/code/abc", code_files=None)
    assert [each["kind"] for each in found] == ["ConfigMap", "RayJob"]
    head = found[-1]["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert env(head)["PYTHONPATH"] == env(head)["SEATRIAL_CODE"] == "/seatrial/store/code/abc"
    assert "code" not in [volume["name"] for volume in head["volumes"]]


def test_another_attempt_and_another_run_are_other_objects_of_the_same_code() -> None:
    of = step("train")
    first, second = objects(of), objects(of, attempt=2)
    assert first[0] == second[0]
    assert {each["metadata"]["name"] for each in first[1:]}.isdisjoint(each["metadata"]["name"] for each in second[1:])


def test_objects_carry_what_finds_them_again() -> None:
    body = main(step("train"))
    labels = body["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "seatrial"
    assert labels["app.kubernetes.io/component"] == "train"
    assert labels["app.kubernetes.io/version"] == "0.1.0"
    assert (labels["seatrial.dev/run"], labels["seatrial.dev/step"], labels["seatrial.dev/pipeline"]) == (rendered.RUN, "work", "flights")
    assert body["metadata"]["annotations"]["seatrial.dev/fingerprint"] == rendered.FINGERPRINT
    digest = KubernetesTarget.model_validate({"images": {"ray": "registry:5000/ray@sha256:" + "0" * 64}})
    assert "app.kubernetes.io/version" not in main(step("train"), digest)["metadata"]["labels"]


@pytest.mark.parametrize(
    ("of", "word"),
    [
        (step("train", spot=True), "spot"),
        (step("train", resources={"accelerator": "A10G"}), "accelerator"),
        (step("etl", resources={"gpu": 1}), "gpu"),
        (step("etl", params={"engine": "sail"}, resources={"workers": 2}), "workers"),
        (step("evaluate", resources={"workers": 2}), "workers"),
    ],
)
def test_what_cannot_be_said_is_listed(of: Step, word: str) -> None:
    (loss,) = losses(of)
    assert loss.startswith(f"{word}: ")


def test_the_flights_pipeline_loses_nothing() -> None:
    assert [loss for of in rendered.flights().values() for loss in losses(of, KubernetesTarget())] == []


def test_staging_ends_by_itself_and_sees_the_store() -> None:
    spec = staging_pod(KubernetesTarget(store="pvc://data/team"), "seatrial-staging")["spec"]
    assert spec["activeDeadlineSeconds"] == 3600
    assert spec["containers"][0]["volumeMounts"][-1] == {"name": "store", "mountPath": "/seatrial/store", "subPath": "team"}


def test_a_driver_goes_on_after_a_kill_and_not_after_a_failure() -> None:
    body = objects(rendered.driver(), KubernetesTarget(queue="team"), context={"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"})[-1]
    pod = body["spec"]["template"]["spec"]
    assert body["spec"]["backoffLimit"] == 3
    assert body["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [1, 2]
    assert pod["serviceAccountName"] == "seatrial-driver"
    assert env(pod)["MLFLOW_TRACKING_URI"] == "http://seatrial-mlflow:5000", "this machine's address means nothing there"
    assert "suspend" not in body["spec"], "it could wait for a place that its own steps need"


resources = st.fixed_dictionaries(
    {
        "workers": st.one_of(st.integers(0, 20), st.integers(1, 5).map(lambda least: {"min": least, "max": least + 2})),
        "cpu": st.floats(0.0001, 64),
        "memory": st.sampled_from(["1", "64Mi", "1.5Gi", "2G", "1Ti"]),
        "gpu": st.integers(0, 8),
        "accelerator": st.text(max_size=70),
    }
)
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)  # a job file with a NUL is refused
words = st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), text, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([kind for kind in Kind if kind != Kind.PIPELINE]), resources, words, words, st.sampled_from(["", "team"]))
def test_any_step_makes_safe_pods_with_valid_labels(kind: Kind, wanted: dict[str, Any], variables: dict[str, str], secrets: dict[str, str], queue: str) -> None:
    found = objects(step(kind, resources=wanted, env=variables, secrets=secrets), KubernetesTarget(queue=queue))
    assert [list(violations(pod)) for _, pod in rendered.pods(found)] == [[] for _ in rendered.pods(found)]
    values = [value for each in found for value in each["metadata"]["labels"].values()]
    values += [value for _, pod in rendered.pods(found) for value in pod.get("nodeSelector", {}).values()]
    assert all(LABEL.fullmatch(value) and len(value) <= 63 for value in values)
    for _, pod in rendered.pods(found):
        names = [entry["name"] for entry in pod["containers"][0]["env"]]
        assert len(names) == len(set(names))
