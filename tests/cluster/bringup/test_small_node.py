"""What `make test-cluster` runs fits one node with 2 cores and 8 GB, beside what a cluster needs for itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import yaml

from jobs.control import spec_file
from jobs.control.spec import KubernetesTarget
from tests import kube_tools
from tests.cluster import rendered
from tests.conftest import REPOSITORY

SUITE = REPOSITORY / "tests" / "cluster_real"
MILLICORES, MEBIBYTES = 2000, 7600  # what 8 GB leave after the kubelet's own reserve
SYSTEM = (950, 390)  # kubeadm's control plane with two DNS servers and a network plug-in, as kind runs them
OPERATOR = (100, 512)
STAGING = (100, 256)


@pytest.mark.parametrize("step", ["features", "train", "judge", "serve"])
def test_a_step_fits_beside_the_service(step: str) -> None:
    cores, memory = (sum(each) for each in zip(SYSTEM, OPERATOR, STAGING, _chart(), _step(step), strict=True))
    assert cores <= MILLICORES
    assert memory <= MEBIBYTES


def test_a_part_of_a_core_is_reserved_and_a_whole_one_may_be_used() -> None:
    workers = [pod for place, pod in rendered.pods(_objects("train")) if place.startswith("workers")]
    assert workers
    assert all(pod["containers"][0]["resources"]["limits"]["cpu"] == "1" for pod in workers)


def _chart() -> tuple[int, int]:
    argv = [str(kube_tools.binary("helm")), "template", "seatrial", str(REPOSITORY / "helm" / "seatrial"), "--values", str(SUITE / "small.yaml")]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    bodies = [body for body in yaml.safe_load_all(text) if body and body["kind"] != "Pod"]  # the chart's own test comes and goes
    return _total(pod for body in bodies for _, pod in rendered.pods([body]))


def _objects(step: str) -> Sequence[dict[str, Any]]:
    return rendered.objects(spec_file.load(SUITE / "flights.yaml").steps[step], KubernetesTarget(), step)


def _step(name: str) -> tuple[int, int]:
    """Workers and executors as often as the job file says."""
    workers = spec_file.load(SUITE / "flights.yaml").steps[name].resources.max_workers
    return _total(pod for place, pod in rendered.pods(_objects(name)) for _ in range(workers if place.startswith(("workers", "executor")) else 1))


def _total(pods: Iterator[dict[str, Any]]) -> tuple[int, int]:
    wanted = [container["resources"]["requests"] for pod in pods for container in pod["containers"]]
    return sum(_millicores(each["cpu"]) for each in wanted), sum(_mebibytes(each["memory"]) for each in wanted)


def _millicores(text: str) -> int:
    return int(text[:-1]) if text.endswith("m") else int(text) * 1000


def _mebibytes(text: str) -> int:
    return int(text[:-2]) * {"Mi": 1, "Gi": 1024}[text[-2:]]


def test_a_head_reserves_less_than_it_may_use() -> None:
    head = dict(rendered.pods(_objects("train")))["head"]["containers"][0]["resources"]
    assert _mebibytes(head["requests"]["memory"]) < _mebibytes(head["limits"]["memory"])
