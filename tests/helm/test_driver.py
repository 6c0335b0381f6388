"""templates/driver"""

from __future__ import annotations

import pytest

from cluster.kube_client import _KINDS
from tests.helm import chart

ALL = ["get", "list", "create", "patch", "delete"]


def rights(values: chart.Object = {}) -> dict[str, list[str]]:  # noqa: B006
    rules = chart.find(chart.render(values), "Role", "seatrial-driver")["rules"]
    return {resource: rule["verbs"] for rule in rules for resource in rule["resources"]}


def test_a_driver_may_do_what_the_backend_does() -> None:
    assert rights() == {
        "configmaps": ALL,
        "services": ALL,
        "jobs": ALL,
        "rayjobs": ALL,
        "pods": ["get", "list", "watch", "create", "delete"],
        "pods/log": ["get"],
        "pods/exec": ["get", "create"],
        "events": ["list"],
    }


def test_should_reach_kueues_workloads_if_queue_is_set() -> None:
    assert rights({"queue": "team"})["workloads"] == ["list", "patch"]


@pytest.mark.parametrize("kind", sorted(_KINDS))
def test_the_role_knows_every_kind_that_the_client_speaks_of(kind: str) -> None:
    resource = _KINDS[kind].rsplit("/", 1)[-1]
    assert "list" in rights({"queue": "team"})[resource]


def test_should_bind_people_too_if_subjects_are_set() -> None:
    ada = {"kind": "User", "name": "ada", "apiGroup": "rbac.authorization.k8s.io"}
    subjects = chart.find(chart.render({"driver": {"subjects": [ada]}}), "RoleBinding", "seatrial-driver")["subjects"]
    assert subjects == [{"kind": "ServiceAccount", "name": "seatrial-driver", "namespace": "seatrial"}, ada]


def test_should_make_an_account_for_jobs_if_create_is_set() -> None:
    objects = chart.render({"serviceAccounts": {"jobs": {"create": True, "name": "workers", "annotations": {"role": "reader"}}}})
    account = chart.find(objects, "ServiceAccount", "workers")
    assert account["metadata"]["annotations"] == {"role": "reader"}
    assert account["automountServiceAccountToken"] is False
    assert chart.find(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "workers"


def test_nobody_has_rights_beyond_the_namespace() -> None:
    kinds = {each["kind"] for each in chart.render(chart.everything())}
    assert not kinds & {"ClusterRole", "ClusterRoleBinding"}
