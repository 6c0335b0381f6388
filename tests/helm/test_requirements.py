"""Combinations that cannot be fail with a sentence that says what to change, and what a cluster lacks is said before it is missed."""

from __future__ import annotations

import pytest

from tests.helm import chart

ON = {"enabled": True}
FORBIDDEN: dict[str, tuple[chart.Object, str]] = {
    "s3 without a place": ({"storage": {"type": "s3"}}, "storage.s3.uri"),
    "azure without a place": ({"storage": {"type": "azure"}}, "storage.azure.uri"),
    "two claims": ({"storage": {"claim": {"existing": "mine", "hostPath": "/data"}}}, "set one of them"),
    "host path with a class": ({"storage": {"claim": {"hostPath": "/data", "storageClassName": "fast"}}}, "storage.claim.storageClassName"),
    "two registries": ({"mlflow": {"externalUri": "https://mlflow.example"}}, "mlflow.enabled"),
    "no registry": ({"mlflow": {"enabled": False}}, "needs a registry"),
    "many writers of SQLite": ({"mlflow": {"workers": 2}}, "one writer"),
    "node port of nothing": ({"rayService": {"enabled": False, "nodePort": 30800}}, "rayService.nodePort"),
    "a budget that keeps all": ({"rayService": {"workers": 2}, "podDisruptionBudget": {"minAvailable": 2}}, "no node could be drained"),
    "ingress to nothing": ({"rayService": {"enabled": False}, "ingress": {**ON, "host": "a.example"}}, "nothing to lead to"),
    "ingress for all hosts": ({"ingress": ON}, "ingress.host"),
    "GPUs of no cluster": ({"rayCluster": {"gpu": ON}}, "set rayCluster.enabled"),
    "queue and autoscaling": ({"queue": "team", "rayCluster": ON}, "rayCluster.autoscaling"),
    "more workers than the most": ({"rayCluster": {"cpu": {"replicas": 9}}}, "between minReplicas and maxReplicas"),
    "nothing to retrain": ({"retraining": ON}, "retraining.jobFile"),
    "the account that is there": ({"serviceAccounts": {"jobs": {"create": True}}}, "Kubernetes makes the account"),
    "annotations of no account": ({"serviceAccounts": {"jobs": {"annotations": {"role": "x"}}}}, "serviceAccounts.jobs.create"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_should_fail_with_a_sentence(name: str) -> None:
    values, said = FORBIDDEN[name]
    error = chart.refusal(values)
    assert "requirements.yaml" in error, "refused by another"
    assert said in error


def test_should_name_the_operator_if_the_cluster_lacks_its_api() -> None:
    assert "install the KubeRay operator first" in chart.refusal({}, apis=chart.LIVE)


def test_should_install_if_the_operator_is_there() -> None:
    assert chart.render(apis=(*chart.LIVE, "ray.io/v1"))


def test_should_not_ask_for_the_operator_if_nothing_needs_it_or_it_is_told_not_to() -> None:
    assert chart.render({"rayService": {"enabled": False}}, apis=chart.LIVE)
    assert chart.render({"operatorCheck": False}, apis=chart.LIVE)


def test_should_render_offline() -> None:
    assert chart.names(chart.render(), "RayService") == {"seatrial"}


@pytest.mark.parametrize(
    ("values", "api"), [({"monitoring": {"podMonitors": ON}}, "monitoring.coreos.com"), ({"queue": "team"}, "kueue.x-k8s.io")], ids=["prometheus", "kueue"]
)
def test_should_name_the_other_operators_too(values: chart.Object, api: str) -> None:
    live = (*chart.LIVE, "ray.io/v1")
    assert api in chart.refusal(values, apis=live)
    assert chart.render(values, apis=(*live, f"{api}/v1"))


def test_the_chart_needs_no_other_chart() -> None:
    assert "dependencies" not in (chart.CHART / "Chart.yaml").read_text()
    assert not (chart.CHART / "charts").exists()
