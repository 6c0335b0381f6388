"""Pod Security ``restricted``, and what we ask beyond it, checked on every pod template of a step."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from jobs.control.spec import KubernetesTarget
from tests.cluster import rendered
from tests.cluster.test_rendering_schemas import FORMS, FULL, STAGING
from tests.pod_security import container_violations, violations

# Whose work needs the API server: Spark's driver, a pipeline's driver, and the head beside which the autoscaler runs.
WITH_TOKEN = {("etl-spark", "Job"), ("etl-spark-range", "Job"), ("pipeline", "Job"), ("train-range", "head")}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("settings", [KubernetesTarget(), FULL], ids=["plain", "full"])
def test_every_pod_of_a_step_passes(form: str, settings: KubernetesTarget) -> None:
    found = dict(rendered.pods(rendered.objects(FORMS[form], settings)))
    assert found
    assert {place: list(violations(pod)) for place, pod in found.items()} == {place: [] for place in found}


def test_the_staging_pod_passes() -> None:
    assert list(violations(STAGING["spec"])) == []


def test_the_autoscaler_beside_the_head_passes() -> None:
    options = rendered.main(FORMS["train-range"])["spec"]["rayClusterSpec"]["autoscalerOptions"]
    assert list(container_violations({"name": "autoscaler", **options})) == []


def test_executors_too_are_looked_at() -> None:
    assert [place for place, _ in rendered.pods(rendered.objects(FORMS["etl-spark"]))] == ["executor.yaml", "Job"]
    assert [place for place, _ in rendered.pods(rendered.objects(FORMS["train-ray"]))] == ["submitter", "head", "workers cpu"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda pod: pod["securityContext"].pop("runAsNonRoot"),
        lambda pod: pod["securityContext"].pop("seccompProfile"),
        lambda pod: pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
        lambda pod: pod.update(hostNetwork=True),
        lambda pod: pod["containers"][0]["securityContext"].update(allowPrivilegeEscalation=True),
        lambda pod: pod["containers"][0]["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
        lambda pod: pod["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"),
        lambda pod: pod["containers"][0]["resources"]["limits"].pop("memory"),
        lambda pod: pod["containers"][0]["volumeMounts"].clear(),
    ],
)
def test_the_check_itself_notices(spoil: Callable[[dict[str, Any]], object]) -> None:
    pod = copy.deepcopy(rendered.main(FORMS["evaluate"])["spec"]["template"]["spec"])
    spoil(pod)
    assert len(list(violations(pod))) == 1


def test_only_who_needs_the_api_server_gets_a_token() -> None:
    pods = [(form, place, pod) for form, of in FORMS.items() for place, pod in rendered.pods(rendered.objects(of))]
    assert {(form, place) for form, place, pod in pods if pod["automountServiceAccountToken"]} == WITH_TOKEN
    assert not STAGING["spec"]["automountServiceAccountToken"]
    assert not any(pod["enableServiceLinks"] for _, _, pod in pods)


def test_a_secret_is_a_reference_and_never_a_value() -> None:
    step = rendered.step("evaluate", secrets={"HF_TOKEN": "hub/token", "KEY": "hub", "API_KEY": "API_KEY"}, env={"KEY": "no", "PRICE": "5 $(HOME) $$"})
    env = rendered.env(rendered.main(step)["spec"]["template"]["spec"])
    assert env["HF_TOKEN"] == {"secretKeyRef": {"name": "hub", "key": "token"}}
    assert env["KEY"] == {"secretKeyRef": {"name": "hub", "key": "KEY"}}
    assert env["API_KEY"] == {"secretKeyRef": {"name": "api-key", "key": "API_KEY"}}
    assert env["PRICE"] == "5 $$(HOME) $$$$", "Kubernetes would replace $(HOME) and halve $$"
