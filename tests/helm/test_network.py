"""templates/network: what may flow, asked of the rules that Kubernetes applies; the pods carry what Python and the chart give them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import yaml

from cluster.rendering.staging import staging_pod
from jobs.control.spec import KubernetesTarget
from tests.cluster import rendered
from tests.helm import chart
from tests.helm.policies import End, allowed, selected

ON = {"enabled": True}
FULL: chart.Object = {"rayCluster": ON, "retraining": {**ON, "jobFile": "x"}}


def template(body: chart.Object) -> dict[str, str]:
    return body["spec"]["template"]["metadata"]["labels"]  # type: ignore[no-any-return]


def node(labels: dict[str, str], kind: str) -> End:
    """As KubeRay labels the pods of a cluster."""
    return End({**labels, "ray.io/cluster": "any", "ray.io/node-type": kind, "ray.io/is-ray-node": "yes"})


@cache
def ends() -> dict[str, End]:
    objects = chart.render(FULL)
    service = chart.find(objects, "RayService")["spec"]["rayClusterConfig"]
    cluster = chart.find(objects, "RayCluster")["spec"]
    cron = chart.find(objects, "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    train = rendered.main(rendered.step("train", resources={"workers": 2}))["spec"]
    etl = rendered.objects(rendered.step("etl", resources={"workers": 2}))
    executor = yaml.safe_load(rendered.config(etl)["executor.yaml"])["metadata"]["labels"]
    jobs = {kind: End(template(rendered.main(rendered.step(kind)))) for kind in ("evaluate", "deploy")}
    return {
        **jobs,
        "pipeline": End(template(rendered.main(rendered.driver()))),
        "schedule": End(cron),
        "train head": node(train["rayClusterSpec"]["headGroupSpec"]["template"]["metadata"]["labels"], "head"),
        "train worker": node(train["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["metadata"]["labels"], "worker"),
        "train submitter": End(train["submitterPodTemplate"]["metadata"]["labels"]),
        "train pod": End(template(rendered.main(rendered.step("train", resources={"workers": 0})))),
        "spark driver": End(template(etl[-1])),
        "spark executor": End({**executor, "spark-role": "executor"}),
        "staging": End(staging_pod(KubernetesTarget(), "seatrial-staging-1")["metadata"]["labels"]),
        "serve head": node(service["headGroupSpec"]["template"]["metadata"]["labels"], "head"),
        "serve worker": node(service["workerGroupSpecs"][0]["template"]["metadata"]["labels"], "worker"),
        "shared head": node(cluster["headGroupSpec"]["template"]["metadata"]["labels"], "head"),
        "shared worker": node(cluster["workerGroupSpecs"][0]["template"]["metadata"]["labels"], "worker"),
        "mlflow": End(template(chart.find(objects, "Deployment"))),
        "helm test": End(chart.find(objects, "Pod")["metadata"]["labels"]),
        "neighbour": End({"app": "other"}),
        "stranger": End({"app": "other"}, "elsewhere"),
        "dns": End({"k8s-app": "kube-dns"}, "kube-system"),
        "operator": End({"app.kubernetes.io/component": "kuberay-operator"}, "kuberay-system"),
        "prometheus": End({"app": "prometheus"}, "monitoring"),
        "ingress": End({"app": "nginx"}, "ingress-nginx"),
        "api server": End(address="172.18.0.2"),
        "internet": End(address="93.184.216.34"),
    }


def policies(values: chart.Object | None = None, **how: Any) -> list[chart.Object]:
    return [each for each in chart.render(FULL if values is None else values, **how) if each["kind"] == "NetworkPolicy"]


RULES = cache(policies)
OURS = [name for name in ends() if name not in ("neighbour", "stranger", "dns", "operator", "prometheus", "ingress", "api server", "internet")]

NEEDED = [
    # A Ray cluster speaks on ports that it chooses: raylet, workers, gloo, object manager, replicas.
    ("train worker", "train head", 6379),
    ("train worker", "train worker", 41234),
    ("train head", "train worker", 10007),
    ("serve head", "serve worker", 30000),
    ("serve worker", "serve head", 38123),
    ("shared worker", "shared head", 6379),
    ("train submitter", "train head", 8265),
    ("operator", "train head", 8265),
    ("operator", "serve head", 8265),
    ("operator", "serve head", 8000),
    ("operator", "shared head", 8265),
    ("spark executor", "spark driver", 7078),
    ("spark executor", "spark driver", 7079),
    ("spark executor", "spark executor", 7079),
    ("spark driver", "spark executor", 7079),
    ("spark driver", "api server", 6443),
    ("pipeline", "api server", 443),
    ("schedule", "api server", 6443),
    ("shared head", "api server", 6443),
    ("train head", "api server", 6443),
    ("train head", "mlflow", 5000),
    ("train worker", "mlflow", 5000),
    ("train pod", "mlflow", 5000),
    ("evaluate", "mlflow", 5000),
    ("deploy", "mlflow", 5000),
    ("pipeline", "mlflow", 5000),
    ("schedule", "mlflow", 5000),
    ("serve worker", "mlflow", 5000),
    ("deploy", "serve worker", 8000),
    ("neighbour", "serve worker", 8000),
    ("helm test", "serve worker", 8000),
    ("helm test", "mlflow", 5000),
    ("helm test", "shared head", 8265),
    ("prometheus", "train worker", 8080),
    ("prometheus", "serve worker", 9101),
    ("prometheus", "spark driver", 4040),
]
FORBIDDEN = [
    ("stranger", "serve worker", 8000),
    ("stranger", "mlflow", 5000),
    ("neighbour", "mlflow", 5000),
    ("ingress", "mlflow", 5000),
    ("neighbour", "serve worker", 8404),
    ("neighbour", "serve worker", 9101),
    ("neighbour", "serve head", 8265),
    ("neighbour", "train head", 8265),
    ("neighbour", "train head", 10001),
    ("train submitter", "train head", 6379),
    ("train worker", "serve head", 6379),
    ("serve worker", "shared head", 6379),
    ("spark executor", "api server", 6443),
    ("train worker", "api server", 6443),
    ("serve head", "api server", 6443),
    ("evaluate", "api server", 6443),
    ("spark executor", "mlflow", 5000),
    ("spark executor", "spark driver", 4040),
    ("ingress", "serve worker", 8000),
    ("train worker", "internet", 80),
    ("mlflow", "internet", 443),
    ("serve worker", "internet", 443),
    ("staging", "internet", 443),
    ("neighbour", "staging", 80),
]


@pytest.mark.parametrize(("source", "target", "port"), NEEDED, ids=lambda each: str(each).replace(" ", "-"))
def test_should_let_a_named_flow_pass(source: str, target: str, port: int) -> None:
    assert allowed(RULES(), ends()[source], ends()[target], port)


@pytest.mark.parametrize(("source", "target", "port"), FORBIDDEN, ids=lambda each: str(each).replace(" ", "-"))
def test_should_deny_the_rest(source: str, target: str, port: int) -> None:
    assert not allowed(RULES(), ends()[source], ends()[target], port)


@pytest.mark.parametrize("name", OURS)
def test_should_deny_every_pod_by_default_and_let_it_look_up_names(name: str) -> None:
    end = ends()[name]
    assert {"seatrial-deny", "seatrial-dns"} <= set(selected(RULES(), end.labels))
    assert allowed(RULES(), end, ends()["dns"], 53, "UDP")
    assert not allowed(RULES(), end, ends()["dns"], 443)


def test_should_leave_pods_of_others_alone() -> None:
    assert not list(selected(RULES(), ends()["neighbour"].labels))


def test_should_not_be_there_if_it_is_off() -> None:
    assert policies({"networkPolicy": {"enabled": False}}) == []


def test_should_let_the_ingress_controller_in_if_ingress_is_on() -> None:
    rules = policies({"ingress": {**ON, "host": "a.example"}})
    assert allowed(rules, ends()["ingress"], ends()["serve worker"], 8000)
    assert not allowed(rules, ends()["ingress"], ends()["serve worker"], 8265)


def test_should_let_everybody_in_if_nodeport_is_set() -> None:
    rules = policies({"rayService": {"nodePort": 30800}})
    assert allowed(rules, ends()["internet"], ends()["serve worker"], 8000)
    assert not allowed(rules, ends()["internet"], ends()["serve worker"], 8265)


def test_should_let_only_named_clients_in_if_clients_is_set() -> None:
    rules = policies({"networkPolicy": {"clients": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}}]}})
    assert allowed(rules, ends()["stranger"], ends()["serve worker"], 8000)
    assert not allowed(rules, ends()["neighbour"], ends()["serve worker"], 8000)


def test_should_let_nobody_in_by_an_empty_list() -> None:
    rules = policies({**FULL, "networkPolicy": {"operator": [], "clients": [], "monitoring": []}})
    for source, target, port in (("neighbour", "serve worker", 8000), ("neighbour", "serve head", 8265), ("prometheus", "train worker", 8080)):
        assert not allowed(rules, ends()[source], ends()[target], port)


@pytest.mark.parametrize("name", ["spark executor", "train worker", "evaluate", "mlflow"])
def test_should_reach_the_object_store_if_there_is_one(name: str) -> None:
    assert allowed(policies({}, profile="s3"), ends()[name], ends()["internet"], 443)
    narrow = policies({"networkPolicy": {"objectStore": {"cidr": "10.0.0.0/8", "ports": [9000]}}}, profile="s3")
    assert not allowed(narrow, ends()[name], ends()["internet"], 443)
    assert allowed(narrow, ends()[name], End(address="10.1.2.3"), 9000)


def test_should_reach_a_registry_elsewhere_if_it_is_named() -> None:
    rules = policies({"mlflow": {"enabled": False, "externalUri": "https://mlflow.example:8443"}})
    assert allowed(rules, ends()["serve worker"], ends()["internet"], 8443)
    assert not allowed(rules, ends()["serve worker"], ends()["internet"], 443)


def test_should_reach_the_database_if_one_is_set() -> None:
    rules = policies({"mlflow": {"database": {"secretName": "db"}}, "networkPolicy": {"database": {"cidr": "10.0.0.0/8"}}}, profile="s3")
    assert allowed(rules, ends()["mlflow"], End(address="10.1.2.3"), 5432)


def test_should_let_jobs_out_if_jobsegress_is_set() -> None:
    rules = policies({"networkPolicy": {"jobsEgress": [{"to": [{"ipBlock": {"cidr": "93.184.0.0/16"}}], "ports": [{"port": 80}]}]}})
    assert allowed(rules, ends()["train worker"], ends()["internet"], 80)
    assert not allowed(rules, ends()["serve worker"], ends()["internet"], 80)
