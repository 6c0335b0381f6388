"""Every object is one that the API server knows: Kubernetes' own schemas, strictly, and KubeRay's custom resource definitions.

The definitions are KubeRay's ``ray.io_*.yaml``, release 1.7.0, in a folder that ``SEATRIAL_TEST_KUBERAY_CRDS`` names.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from cluster.rendering import staging_pod
from jobs.control.spec import KubernetesTarget
from tests.cluster import rendered
from tests.cluster.test_rendering_golden import GPU

VERSION = "1.36"
CRDS = os.environ.get("SEATRIAL_TEST_KUBERAY_CRDS", "")  # read before each test's environment is cleaned
FULL = KubernetesTarget.model_validate(
    {
        "queue": "team",
        "images": {"pull_secrets": ["registry"], "pull_policy": "Always"},
        "node_selector": {"disk": "ssd"},
        "gpu_node_selector": {"pool": "gpu"},
        "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
    }
)
WORDY = {"env": {"MODE": "fast"}, "secrets": {"HF_TOKEN": "hub/token"}, "retries": 2, "time_limit": "30m"}
FORMS = {
    "etl-spark": rendered.step("etl", resources={"workers": 2, "cpu": 0.5}, **WORDY),
    "etl-spark-range": rendered.step("etl", resources={"workers": {"min": 1, "max": 4}}),
    "etl-sail": rendered.step("etl", params={"engine": "sail"}, resources={"workers": 2}, **WORDY),
    "train-pod": rendered.step("train", resources={"workers": 0, "gpu": 1}, **WORDY),
    "train-ray": rendered.step("train", resources={"workers": 2, "cpu": 1.5, "memory": "0.5Gi"}, **WORDY),
    "train-range": rendered.step("train", resources={"workers": {"min": 1, "max": 4}}, **WORDY),
    "train-gpu": rendered.step("train", resources={"workers": 2, "gpu": 2, "accelerator": "Tesla T4"}, **WORDY),
    "evaluate": rendered.step("evaluate", **WORDY),
    "deploy": rendered.step("deploy"),
    "pipeline": rendered.driver(),
}
STAGING = staging_pod(FULL, "seatrial-staging-1")


@cache
def kuberay(kind: str) -> jsonschema.Draft202012Validator:
    """Of a RayJob, RayCluster or RayService."""
    if not CRDS:
        pytest.skip("SEATRIAL_TEST_KUBERAY_CRDS names no folder with KubeRay's custom resource definitions")
    definition = yaml.load((Path(CRDS) / f"ray.io_{kind.lower()}s.yaml").read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # 1 MB: seconds less
    version = next(each for each in definition["spec"]["versions"] if each["name"] == "v1")
    return jsonschema.Draft202012Validator(closed(version["schema"]["openAPIV3Schema"]))


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Unknown fields are errors here, where the API server would drop them without a word."""
    found = dict(schema)
    if "properties" in found:
        found["properties"] = {name: closed(each) for name, each in found["properties"].items()}
        if not found.get("x-kubernetes-preserve-unknown-fields"):
            found["additionalProperties"] = False
    for inner in ("items", "additionalProperties"):
        if isinstance(found.get(inner), dict):
            found[inner] = closed(found[inner])
    return found


def check(body: dict[str, Any]) -> None:
    if body["apiVersion"].startswith("ray.io/"):
        kuberay(body["kind"]).validate({key: value for key, value in body.items() if key != "metadata"})
    else:
        kubernetes_validate.validate(body, VERSION, strict=True)
    for place, pod in rendered.pods([body]):
        name = {"name": place.replace(" ", "-").lower()}
        kubernetes_validate.validate({"apiVersion": "v1", "kind": "Pod", "metadata": name, "spec": pod}, VERSION, strict=True)


@pytest.mark.parametrize("overrides", [(), GPU], ids=["cpu", "gpu"])
def test_the_flights_pipeline_is_valid(overrides: tuple[str, ...]) -> None:
    for name, step in rendered.flights(*overrides).items():
        for body in rendered.objects(step, name=name):
            check(body)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("settings", [KubernetesTarget(), FULL, KubernetesTarget(store="s3://bucket/here")], ids=["plain", "full", "s3"])
def test_every_form_of_step_is_valid(form: str, settings: KubernetesTarget) -> None:
    for body in rendered.objects(FORMS[form], settings):
        check(body)


def test_the_staging_pod_is_valid() -> None:
    check(STAGING)


@pytest.mark.parametrize("path", [("spec", "retry"), ("spec", "rayClusterSpec", "headGroupSpec", "nodes"), ("spec", "submitterPodTemplate", "spec", "user")])
def test_a_field_that_kuberay_does_not_know_is_an_error(path: tuple[str, ...]) -> None:
    body = rendered.main(FORMS["train-ray"])
    parent = body
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = {}
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(body)
