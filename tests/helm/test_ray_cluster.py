"""templates/ray-cluster"""

from __future__ import annotations

from tests.cluster import rendered
from tests.helm import chart


def cluster(values: chart.Object = {}, **of: object) -> chart.Object:  # noqa: B006
    return chart.find(chart.render({**values, "rayCluster": {"enabled": True, **of}}), "RayCluster")


def test_should_not_be_there_unless_it_is_on() -> None:
    assert not chart.names(chart.render(), "RayCluster"), "jobs bring their own"
    assert cluster()["metadata"]["name"] == "seatrial-ray", "its head's Service must not be that of the RayService"


def test_should_ask_for_a_token() -> None:
    assert cluster()["spec"]["authOptions"] == {"mode": "token"}


def test_should_grow_and_shrink_if_autoscaling_is_on() -> None:
    spec = cluster(idleTimeoutSeconds=90)["spec"]
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["autoscalerOptions"]["idleTimeoutSeconds"] == 90
    head = spec["headGroupSpec"]["template"]["spec"]
    assert head["automountServiceAccountToken"] is True
    assert "serviceAccountName" not in head, "KubeRay makes an account with the autoscaler's rights"


def test_should_have_no_token_if_autoscaling_is_off() -> None:
    spec = cluster(autoscaling=False)["spec"]
    assert "autoscalerOptions" not in spec
    assert not any(pod["automountServiceAccountToken"] for _, pod in rendered.pods([{"kind": "RayCluster", "spec": spec}]))
    assert spec["headGroupSpec"]["template"]["spec"]["serviceAccountName"] == "default"


def test_should_have_workers_with_gpus_if_gpu_is_on() -> None:
    gpu = {"enabled": True, "count": 2, "resourceName": "amd.com/gpu", "runtimeClassName": "amd", "nodeSelector": {"pool": "gpu"}}
    groups = cluster(gpu={**gpu, "tolerations": [{"key": "spot", "operator": "Exists"}]})["spec"]["workerGroupSpecs"]
    assert [group["groupName"] for group in groups] == ["cpu", "gpu"]
    pod = groups[1]["template"]["spec"]
    resources = pod["containers"][0]["resources"]
    assert resources["requests"]["amd.com/gpu"] == resources["limits"]["amd.com/gpu"] == "2"
    assert resources["requests"]["cpu"] == "4"
    assert resources["limits"]["cpu"] == "8"
    assert {toleration["key"] for toleration in pod["tolerations"]} == {"spot", "amd.com/gpu"}
    assert (pod["runtimeClassName"], pod["nodeSelector"]) == ("amd", {"pool": "gpu"})
    assert "amd.com/gpu" not in str(groups[0])


def test_should_wait_in_kueues_queue_if_queue_is_set() -> None:
    found = cluster({"queue": "team"}, autoscaling=False)
    assert found["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert found["spec"]["suspend"] is True
    assert "suspend" not in cluster()["spec"]


def test_should_mount_the_store_everywhere() -> None:
    for place, pod in rendered.pods([cluster()]):
        assert "/seatrial/store" in [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]], place


def test_should_reach_the_object_store_if_there_is_one() -> None:
    objects = chart.render({"rayCluster": {"enabled": True}, "storage": {"s3": {"endpoint": "https://minio:9000"}}}, profile="s3")
    for place, pod in rendered.pods([chart.find(objects, "RayCluster")]):
        assert rendered.env(pod)["AWS_ENDPOINT_URL"] == "https://minio:9000", place
        assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "seatrial-s3"}}], place


def test_should_keep_its_only_head_while_nodes_are_drained() -> None:
    objects = chart.render({"rayCluster": {"enabled": True}})
    selector = chart.find(objects, "PodDisruptionBudget", "seatrial-ray")["spec"]["selector"]["matchLabels"]
    assert (selector["app.kubernetes.io/component"], selector["ray.io/node-type"]) == ("ray-cluster", "head")
    assert not chart.names(chart.render({"rayCluster": {"enabled": True}, "podDisruptionBudget": {"enabled": False}}), "PodDisruptionBudget")
