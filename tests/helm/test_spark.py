"""templates/spark"""

from __future__ import annotations

from tests.helm import chart


def test_the_driver_may_do_what_spark_asked_for_on_a_real_cluster_and_no_more() -> None:
    objects = chart.render()
    rules = chart.find(objects, "Role", "seatrial-spark")["rules"]
    assert rules == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "create", "delete", "deletecollection"]}]
    binding = chart.find(objects, "RoleBinding", "seatrial-spark")
    assert [(each["kind"], each["name"]) for each in binding["subjects"]] == [("ServiceAccount", "seatrial-spark")]


def test_should_carry_a_cloud_role_if_annotations_are_set() -> None:
    objects = chart.render({"serviceAccounts": {"spark": {"name": "etl", "annotations": {"role": "reader"}}}})
    assert chart.find(objects, "ServiceAccount", "etl")["metadata"]["annotations"] == {"role": "reader"}
    assert chart.find(objects, "RoleBinding", "etl")["subjects"][0]["name"] == "etl"
