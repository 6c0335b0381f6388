"""What the Dockerfile promises, read from its text: pinned, without root, small last layers, nothing it does not need."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sysconfig
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from cluster.rendering.pods import POD_SECURITY
from jobs.control.spec import Images
from tests.docker.image_file import IMAGES, Stage, arguments, copied, stages

ROOT = Path(__file__).parents[2]
FILE = ROOT / "Dockerfile"
STAGES, ARGUMENTS = stages(FILE), arguments(FILE)


def lineage(name: str) -> list[Stage]:
    """The stages an image is made of, the outermost first."""
    stage = STAGES.get(name)
    return [*lineage(stage.source), stage] if stage else []


@pytest.mark.parametrize("file", ["Dockerfile"])
def test_hadolint_has_nothing_to_say(file: str) -> None:
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    answer = subprocess.run([hadolint, "--no-color", file], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout


def test_every_base_is_pinned_by_digest() -> None:
    outside = {stage.source for stage in STAGES.values()} - set(STAGES)
    assert {re.sub(r"\$\{(\w+)}", lambda name: ARGUMENTS[name[1]], each) for each in outside} == {ARGUMENTS["PYTHON_IMAGE"]}
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", ARGUMENTS["PYTHON_IMAGE"])


def test_the_target_blocks_name_these_images() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {Images().ray, Images().spark} == {f"seatrial-{image}:{project['version']}" for image in IMAGES}


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_the_user_of_the_pods(image: str) -> None:
    name, value = STAGES[image].steps[-1]
    assert (name, value) == ("USER", f"{POD_SECURITY['runAsUser']}:{POD_SECURITY['runAsGroup']}")


@pytest.mark.parametrize("image", IMAGES)
def test_the_clouds_get_the_same_image_as_root(image: str) -> None:
    """SageMaker gives /opt/ml to root."""
    cloud = STAGES[f"{image}-cloud"]
    assert (cloud.source, cloud.steps) == (image, [("USER", "0:0")])


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_the_programs_that_sagemaker_starts(image: str) -> None:
    programs = [place for stage in lineage(image) for value in stage.values("COPY") if copied(value)[2] == "/usr/local/bin/" for place in copied(value)[1]]
    assert programs == [f"docker/{name}" for name in ("train", "serve", "process")]
    for place in programs:
        name = Path(place).name
        assert (ROOT / place).read_text().endswith(f'exec tini -- python -m cloud.containers.{name} "$@"\n')
        assert os.access(ROOT / place, os.X_OK)
        assert importlib.util.find_spec(f"cloud.containers.{name}")


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_leaves_the_command_to_the_pod(image: str) -> None:
    assert not [name for stage in lineage(image) for name, _ in stage.steps if name in ("ENTRYPOINT", "CMD", "ADD", "VOLUME", "EXPOSE")]


@pytest.mark.parametrize("image", IMAGES)
def test_home_is_the_one_folder_that_can_be_written(image: str) -> None:
    settings = " ".join(value for stage in lineage(image) for value in stage.values("ENV"))
    assert "HOME=/tmp " in settings
    assert "PYTHONDONTWRITEBYTECODE" not in settings


@pytest.mark.parametrize("image", IMAGES)
def test_the_code_is_the_last_thing_copied(image: str) -> None:
    """Engines first: a change of code leaves their layer, and every other, as it was."""
    copies = [copied(value)[0] for value in STAGES[image].values("COPY")]
    assert copies[0] == f"{image}-engines"
    assert copies[-1] == "project"
    engines = [place for value in STAGES[f"{image}-engines"].values("COPY") for place in copied(value)[1]]
    assert engines == ["pyproject.toml", "constraints.txt"]


def test_packages_come_without_their_lists() -> None:
    installing = [value for stage in STAGES.values() for value in stage.values("RUN") if "apt-get install" in value]
    assert installing
    for value in installing:
        assert "--no-install-recommends" in value
        assert "rm -rf /var/lib/apt/lists/*" in value


def test_java_is_only_where_spark_runs() -> None:
    with_java = {name for name, stage in STAGES.items() if "openjdk" in str(stage.steps)}
    assert with_java == {"spark"}


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_what_kuberay_and_the_entry_point_call(image: str) -> None:
    installed = " ".join(value for stage in lineage(image) for value in stage.values("RUN"))
    assert {"tini", "wget"} <= set(installed.split())


@pytest.mark.parametrize("image", IMAGES)
def test_labels_say_what_is_inside(image: str) -> None:
    labels = " ".join(value for stage in lineage(image) for value in stage.values("LABEL"))
    for key in ("title", "description", "version", "revision", "licenses", "base.name"):
        assert f"org.opencontainers.image.{key}=" in labels
    assert f'title="seatrial-{image}"' in labels
    assert 'io.seatrial.versions="${VERSIONS}"' in labels
    assert f'base.name="docker.io/library/{ARGUMENTS["PYTHON_IMAGE"].partition("@")[0]}"' in labels


def test_every_engine_installs_within_the_constraints() -> None:
    installing = [value for stage in STAGES.values() for value in stage.values("RUN") if "uv pip install" in value and "--no-deps" not in value]
    assert len(installing) == len(IMAGES)
    assert all("--constraint constraints.txt" in value for value in installing)


def test_the_builder_uses_the_uv_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert f"UV_VERSION := {STAGES['builder'].default('UV_VERSION')}\n" in makefile


def test_spark_home_is_where_pyspark_is() -> None:
    python = re.match(r"python:(\d+\.\d+)", ARGUMENTS["PYTHON_IMAGE"])
    settings = STAGES["spark"].values("ENV")[0]
    assert python
    assert f"SPARK_HOME=/opt/venv/lib/python{python[1]}/site-packages/pyspark " in settings
    assert importlib.util.find_spec("pyspark") is not None


def test_the_context_holds_exactly_what_is_copied() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    wanted = {place for stage in STAGES.values() for value in stage.values("COPY") for place in copied(value)[1] if not copied(value)[0]}
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == wanted
    assert all((ROOT / place).exists() for place in wanted)
    # Rules are read in order, so these hold inside the rooms too.
    last = rules[-2:]
    assert not any(rule.startswith("!") for rule in last)
    assert fnmatch("jobs/control/__pycache__", last[0])
    assert fnmatch("jobs/control/spec.pyc", last[1])
