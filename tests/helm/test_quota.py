"""templates/quota"""

from __future__ import annotations

from tests.helm import chart


def test_should_bound_nothing_by_itself() -> None:
    assert not {"ResourceQuota", "LimitRange"} & {each["kind"] for each in chart.render()}


def test_should_bound_the_namespace_if_hard_is_set() -> None:
    objects = chart.render({"quota": {"hard": {"requests.cpu": "16", "requests.nvidia.com/gpu": 2}}})
    assert chart.find(objects, "ResourceQuota")["spec"]["hard"] == {"requests.cpu": "16", "requests.nvidia.com/gpu": 2}
    assert not chart.names(objects, "LimitRange")


def test_should_bound_each_pod_if_limits_are_set() -> None:
    limit = {"type": "Container", "max": {"memory": "16Gi"}}
    objects = chart.render({"quota": {"limits": [limit]}})
    assert chart.find(objects, "LimitRange")["spec"]["limits"] == [limit]
    assert not chart.names(objects, "ResourceQuota")
