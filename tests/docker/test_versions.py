"""Versions that an image announces: from the project's own files, in the form in which the skew guard compares them."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from cluster.rendering.ray_job import RAY_VERSION
from jobs.contracts import versions
from tests.docker.image_file import IMAGES, stages

ROOT = Path(__file__).parents[2]


def announced(image: str) -> dict[str, str]:
    script = [sys.executable, str(ROOT / "docker/versions.py"), image]
    return dict(json.loads(subprocess.run(script, capture_output=True, text=True, check=True).stdout))


def packages(extras: list[str]) -> set[str]:
    """What extras of the project ask for, those of its own extras included."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = [Requirement(line) for extra in extras for line in table[extra]]
    inner = [extra for each in wanted if each.name == "seatrial" for extra in each.extras]
    return {each.name for each in wanted if each.name != "seatrial"} | (packages(inner) if inner else set())


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_announces_the_engines_that_its_extras_install(image: str) -> None:
    extras = stages(ROOT / "Dockerfile")[f"{image}-engines"].default(f"{image.upper()}_EXTRAS").split()
    engines = {name for name, package in versions.DISTRIBUTIONS.items() if package in packages(extras)}
    assert set(announced(image)) == engines | {"python", "seatrial"}


@pytest.mark.parametrize("image", IMAGES)
def test_this_machine_and_the_image_agree(image: str) -> None:
    """Both come from constraints.txt, so a client of this checkout is never skewed against an image of it."""
    assert not [each for each in versions.differences(versions.installed(), announced(image)) if each.is_fatal]


def test_kuberay_is_told_the_ray_of_the_image() -> None:
    assert announced("ray")["ray"] == RAY_VERSION


@pytest.mark.parametrize("image", IMAGES)
def test_the_chart_announces_the_same(image: str) -> None:
    values = yaml.safe_load((ROOT / "helm/seatrial/values.yaml").read_text())
    assert values["versions"][image] == announced(image)


def test_any_other_image_is_refused() -> None:
    answer = subprocess.run([sys.executable, str(ROOT / "docker/versions.py"), "gpu"], capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert "usage: versions.py ray|spark" in answer.stderr
