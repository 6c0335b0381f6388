"""templates/monitoring"""

from __future__ import annotations

import json

from cluster.rendering.spark_job import UI_PORT
from tests.cluster import rendered
from tests.helm import chart

ANNOTATIONS = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics"}


def templates(values: chart.Object) -> list[chart.Object]:
    cluster = chart.find(chart.render(values), "RayService")["spec"]["rayClusterConfig"]
    return [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def test_should_annotate_every_ray_pod() -> None:
    assert [each["metadata"]["annotations"] for each in templates({})] == [ANNOTATIONS, ANNOTATIONS]


def test_should_annotate_nothing_and_let_nobody_in_if_it_is_off() -> None:
    off = {"monitoring": {"enabled": False}}
    assert not any("annotations" in each["metadata"] for each in templates(off))
    assert "seatrial-metrics" not in chart.names(chart.render(off), "NetworkPolicy")


def test_should_make_podmonitors_if_they_are_on() -> None:
    assert not chart.names(chart.render(), "PodMonitor")
    objects = chart.render({"monitoring": {"podMonitors": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "15s"}}})
    assert chart.names(objects, "PodMonitor") == {"seatrial-ray", "seatrial-proxy", "seatrial-spark"}
    for name in chart.names(objects, "PodMonitor"):
        monitor = chart.find(objects, "PodMonitor", name)
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        assert monitor["spec"]["podMetricsEndpoints"][0]["interval"] == "15s"


def test_a_monitor_asks_for_ports_that_pods_declare() -> None:
    objects = chart.render({"monitoring": {"podMonitors": {"enabled": True}}})
    worker = templates({})[1]["spec"]["containers"][0]
    assert [port["name"] for port in worker["ports"]] == [chart.find(objects, "PodMonitor", "seatrial-proxy")["spec"]["podMetricsEndpoints"][0]["port"]]
    driver = rendered.main(rendered.step("etl", resources={"workers": 2}))["spec"]["template"]
    monitor = chart.find(objects, "PodMonitor", "seatrial-spark")["spec"]
    assert driver["spec"]["containers"][0]["ports"] == [{"name": monitor["podMetricsEndpoints"][0]["port"], "containerPort": UI_PORT}]
    assert monitor["selector"]["matchLabels"].items() <= driver["metadata"]["labels"].items()


def test_should_make_dashboards_if_they_are_on() -> None:
    assert not [name for name in chart.names(chart.render(), "ConfigMap") if "dashboard" in name]
    objects = chart.render({"monitoring": {"dashboards": {"enabled": True, "annotations": {"folder": "Seatrial"}}}})
    for name in ("training", "serving", "etl", "gpu"):
        found = chart.find(objects, "ConfigMap", f"seatrial-dashboard-{name}")
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert found["metadata"]["annotations"] == {"folder": "Seatrial"}
        dashboard = json.loads(found["data"][f"seatrial-{name}.json"])
        assert dashboard["uid"] == f"seatrial-{name}"
        assert len(dashboard["panels"]) >= 6
