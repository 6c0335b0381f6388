"""The chart and the Python side mean the same objects: names, labels, versions, images."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from cluster.preflight import VERSIONS
from cluster.rendering import STORE
from cluster.rendering.plain_job import DRIVER_ACCOUNT
from cluster.rendering.pods import CONTAINER_SECURITY
from cluster.rendering.ray_job import RAY_VERSION
from jobs.control.spec import Kind, KubernetesTarget
from tests.cluster import rendered
from tests.helm import chart

TARGET = KubernetesTarget()


def test_a_job_file_that_says_nothing_finds_what_the_chart_makes() -> None:
    objects = chart.render()
    assert f"pvc://{chart.find(objects, 'PersistentVolumeClaim')['metadata']['name']}" == TARGET.store
    assert f"{chart.find(objects, 'RayService')['metadata']['name']}-serve-svc" == TARGET.service  # KubeRay names it so
    service = chart.find(objects, "Service", "seatrial-mlflow")
    assert f"http://seatrial-mlflow:{service['spec']['ports'][0]['port']}" == TARGET.tracking_uri
    assert chart.names(objects, "ServiceAccount") == {TARGET.spark_service_account, DRIVER_ACCOUNT}, "`default` is there anyway"
    assert chart.find(objects, "RayService")["spec"]["rayClusterConfig"]["rayVersion"] == RAY_VERSION


def test_the_images_and_versions_are_those_that_python_expects() -> None:
    values = yaml.safe_load((chart.CHART / "values.yaml").read_text())
    about = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())
    assert (values["images"]["ray"], values["images"]["spark"]) == (TARGET.images.ray, TARGET.images.spark)
    assert TARGET.images.ray.endswith(f":{about['appVersion']}")
    assert all(image in about["annotations"]["artifacthub.io/images"] for image in (TARGET.images.ray, TARGET.images.spark))


@pytest.mark.parametrize("image", ["ray", "spark"])
def test_the_announced_versions_are_what_the_image_is_built_from(image: str) -> None:
    published = chart.find(chart.render(), "ConfigMap", VERSIONS)["data"][f"{image}-image"]
    told = subprocess.run([sys.executable, str(chart.CHART.parents[1] / "docker/versions.py"), image], capture_output=True, text=True, check=True)
    assert json.loads(published) == json.loads(told.stdout)


def test_the_store_and_the_safety_of_pods_are_the_same_on_both_sides() -> None:
    container = chart.find(chart.render(), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert STORE in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert container["securityContext"] == CONTAINER_SECURITY


def test_policies_know_every_kind_of_job() -> None:
    jobs = next(policy for policy in chart.render(chart.everything()) if policy["metadata"]["name"] == "seatrial-jobs" and policy["kind"] == "NetworkPolicy")
    known = set(jobs["spec"]["podSelector"]["matchExpressions"][0]["values"])
    assert {str(kind) for kind in Kind} <= known
    staging = rendered.objects(rendered.step("evaluate"))[-1]["metadata"]["labels"]["app.kubernetes.io/part-of"]
    assert jobs["spec"]["podSelector"]["matchLabels"] == {"app.kubernetes.io/part-of": staging}


def test_another_name_is_carried_by_all_but_what_python_looks_for() -> None:
    objects = chart.render({"fullnameOverride": "second"})
    fixed = {VERSIONS, TARGET.spark_service_account, DRIVER_ACCOUNT}
    assert all(each["metadata"]["name"].startswith("second") for each in objects if each["metadata"]["name"] not in fixed)
    assert "http://second-mlflow:5000" in chart.find(objects, "RayService")["spec"]["serveConfigV2"]
