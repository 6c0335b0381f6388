"""The steps of the Dockerfile that need no engine, run as they stand in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.docker.builder import Builder
from tests.docker.image_file import IMAGES

ROOMS = ("cluster", "jobs", "spark_etl", "serve", "cloud")
# What must import in each image; the rest of a room belongs to the other image or to the client.
PACKAGES = {"ray": ("jobs", "serve", "cluster", "cloud.containers"), "spark": ("jobs.contracts", "spark_etl", "cloud.containers")}
EVERY_MODULE = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            print(module.name)
"""
WHO_BRINGS_THE_ROOMS = """
import importlib, importlib.metadata, json, sys
owners = importlib.metadata.packages_distributions()
print(json.dumps({room: [owners.get(room), importlib.import_module(room).__file__] for room in sys.argv[1:]}))
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """An image with the project and the base's libraries, without engines."""
    return _image(tmp_path_factory.mktemp("small"), "spark", {"SPARK_EXTRAS": ""})


def _image(root: Path, name: str, env: dict[str, str]) -> Builder:
    build = Builder(REPOSITORY, root)
    for stage, step in (("builder", "uv venv"), ("project", ""), (f"{name}-engines", "")):
        build.copy(build.stages[stage])
        answer = build.run(build.stages[stage], env, only=step)
        assert answer.returncode == 0, answer.stderr
    build.merge_project()
    return build


def test_the_wheel_brings_the_rooms_and_nothing_else_does(small: Builder) -> None:
    found = json.loads(small.python("-c", WHO_BRINGS_THE_ROOMS, *ROOMS))
    assert {room: owners for room, (owners, _) in found.items()} == {room: ["seatrial"] for room in ROOMS}
    assert all(file.startswith(str(small.venv)) for _, file in found.values())


def test_the_command_runs_from_the_image(small: Builder) -> None:
    script = small.venv / "bin/seatrial"
    assert script.read_text().splitlines()[0] == f"#!{small.venv}/bin/python"
    answer = subprocess.run([script, "--help"], cwd=small.root, capture_output=True, text=True, check=True)
    assert "run" in answer.stdout


@pytest.mark.parametrize("program", ["train", "process"])
def test_a_cloud_container_without_a_job_says_what_it_needs(small: Builder, program: str, tmp_path: Path) -> None:
    """As the image starts it; no engine is needed to say so."""
    (tmp_path / "tini").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (tmp_path / "tini").chmod(0o755)
    env = {"PATH": f"{tmp_path}:{small.venv}/bin:/usr/bin:/bin", "SEATRIAL_ML_ROOT": str(tmp_path / "ml")}
    answer = subprocess.run([REPOSITORY / "docker" / program], cwd=small.root, env=env, capture_output=True, text=True, check=False)
    assert answer.returncode == 2, answer.stderr
    assert "this container was not told what to" in (tmp_path / "ml/output/failure").read_text()


def test_bytecode_is_compiled_because_nothing_can_be_written_later(small: Builder) -> None:
    site = next((small.venv / "lib").glob("python3.*/site-packages"))
    sources = [path for room in ROOMS for path in (site / room).rglob("*.py")]
    bare = [path for path in sources if not list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"))]
    assert sources
    assert not bare


def test_an_image_prints_its_versions(small: Builder) -> None:
    told = json.loads(small.python("-m", "jobs.contracts.versions"))
    assert set(told) == {"python", "seatrial"}  # no engine is installed here


@pytest.mark.parametrize("image", IMAGES)
def test_a_label_that_lies_ends_the_build(small: Builder, image: str) -> None:
    stage = small.stages[image]
    versions = json.loads(small.python("-m", "jobs.contracts.versions"))
    assert small.run(stage, {"VERSIONS": json.dumps(versions)}, only="EXPECT_VERSIONS").returncode == 0
    wrong = small.run(stage, {"VERSIONS": json.dumps(versions | {"seatrial": "9.9"})}, only="EXPECT_VERSIONS")
    assert wrong.returncode != 0
    assert "seatrial 9.9" in wrong.stderr


@pytest.mark.full
@pytest.mark.parametrize("image", IMAGES)
def test_every_module_of_an_image_imports(image: str, tmp_path: Path) -> None:
    build = _image(tmp_path, image, {"UV_LINK_MODE": "hardlink", "UV_COMPILE_BYTECODE": "0", **_torch()})
    names = build.python("-c", EVERY_MODULE, *PACKAGES[image]).split()
    assert {name.partition(".")[0] for name in names} == {package.partition(".")[0] for package in PACKAGES[image]}
    expected = subprocess.run(["python3", "docker/versions.py", image], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert set(json.loads(build.python("-m", "jobs.contracts.versions"))) == set(json.loads(expected))
    answer = build.run(build.stages[image], {"VERSIONS": expected}, only="EXPECT_VERSIONS")
    assert answer.returncode == 0, answer.stderr
    assert (shutil.which("ray", path=str(build.venv / "bin")) is not None) == (image == "ray")


def _torch() -> dict[str, str]:
    """Where a wheel of torch lies on this machine it is used, as in the Makefile."""
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS")
    return {"UV_FIND_LINKS": links, "TORCH_BACKEND": ""} if links else {}
