"""Every profile: linted, rendered, valid, safe, small enough, and word for word as accepted."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.control.spec import memory_bytes
from tests.cluster import rendered
from tests.cluster.test_rendering_schemas import check
from tests.helm import chart
from tests.pod_security import container_violations, violations

SNAPSHOTS = Path(__file__).parent / "snapshots"
ACCEPT = "SEATRIAL_ACCEPT_GOLDEN"
_ACCEPTED = bool(os.environ.get(ACCEPT))  # read before each test's environment is cleaned
LIMIT = 2.0  # seconds; it takes a tenth
OTHERS = ("monitoring.coreos.com/v1",)  # schemas that no package of ours has
_AZURE = {"storage": {"type": "azure", "azure": {"uri": "abfss://data@account.dfs.core.windows.net/main", "secretName": "azure"}}}
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    **{profile or "default": (profile, {}) for profile in chart.PROFILES},
    "everything": ("", chart.everything()),
    "azure": ("", _AZURE),
    "host-path": ("", {"storage": {"claim": {"hostPath": "/data", "size": "1Gi"}}}),
    "queued": ("gpu", {"queue": "team", "rayCluster": {"autoscaling": False}}),
    "database": ("s3", {"mlflow": {"database": {"secretName": "db"}, "workers": 4}}),
}


def objects(form: str) -> list[chart.Object]:
    profile, values = FORMS[form]
    return chart.render(values, profile=profile)


@pytest.mark.parametrize("form", FORMS)
def test_it_passes_helms_own_lint(form: str) -> None:
    profile, values = FORMS[form]
    chosen = ["--values", str(chart.CHART / f"values-{profile}.yaml")] if profile else []
    answer = chart.helm("lint", str(chart.CHART), "--strict", *chosen, values=values)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("form", FORMS)
def test_every_object_is_one_that_the_api_server_knows(form: str) -> None:
    # KubeRay's last: without its definitions the test ends there.
    for body in sorted(objects(form), key=lambda each: each["apiVersion"].startswith("ray.io/")):
        if body["apiVersion"] not in OTHERS:
            check(body)


@pytest.mark.parametrize("form", FORMS)
def test_every_pod_passes_pod_security_restricted(form: str) -> None:
    found = {(body["kind"], body["metadata"]["name"], place): pod for body in objects(form) for place, pod in rendered.pods([body])}
    assert found
    assert {where: list(violations(pod)) for where, pod in found.items()} == {where: [] for where in found}


@pytest.mark.parametrize("form", ["everything", "gpu"])
def test_the_autoscaler_beside_a_head_passes_too(form: str) -> None:
    options = chart.find(objects(form), "RayCluster")["spec"]["autoscalerOptions"]
    assert list(container_violations({"name": "autoscaler", **options})) == []


@pytest.mark.parametrize("form", FORMS)
def test_every_object_carries_the_recommended_labels_and_its_namespace(form: str) -> None:
    recommended = {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component", "part-of", "version", "managed-by")}
    for body in objects(form):
        assert recommended <= set(body["metadata"]["labels"]), body["metadata"]["name"]
        assert body["metadata"].get("namespace") == (None if body["kind"] == "PersistentVolume" else "seatrial")


@pytest.mark.parametrize("form", FORMS)
def test_no_two_objects_have_one_name(form: str) -> None:
    found = [(body["kind"], body["metadata"]["name"]) for body in objects(form)]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("profile", chart.PROFILES)
def test_it_is_rendered_as_accepted(profile: str) -> None:
    path = SNAPSHOTS / f"{profile or 'default'}.yaml"
    text = yaml.safe_dump_all(chart.render(profile=profile), sort_keys=False, width=140)
    if _ACCEPTED:
        path.write_text(text)
    assert text == path.read_text(), f"{path} differs; look at the change, then accept it with {ACCEPT}=1 pytest {Path(__file__).name}"


def test_rendering_is_quick() -> None:
    chart.binary("helm")  # unpacked before the clock starts
    start = time.monotonic()
    objects("everything")
    assert time.monotonic() - start < LIMIT


@pytest.mark.parametrize("profile", ["", "kind", "minikube"])
def test_a_node_of_two_cores_and_8_gb_has_room_for_jobs_beside_it(profile: str) -> None:
    body = chart.render(profile=profile)
    pods = [pod for place, pod in rendered.pods(body) if place != "Pod"]  # `helm test` comes and goes
    requests = [container["resources"]["requests"] for pod in pods for container in pod["containers"]]
    assert sum(_cores(each["cpu"]) for each in requests) <= 0.5
    assert sum(memory_bytes(each["memory"]) for each in requests) <= 2.25 * 2**30


def _cores(text: str) -> float:
    return float(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)
