"""`make images`, `make push`, `make sbom`: what they call, seen by a docker that only writes it down."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORDER = """#!{python}
import json, sys
with open({file!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
print("an answer")
"""


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    script = tmp_path / "docker"
    script.write_text(RECORDER.format(python=sys.executable, file=str(tmp_path / "calls")))
    script.chmod(0o755)
    return script


def make(docker: Path, *words: str) -> list[list[str]]:
    """The calls, in order."""
    answer = subprocess.run(["make", *words, f"DOCKER={docker}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return [json.loads(line) for line in (docker.parent / "calls").read_text().splitlines()]


def options(call: list[str]) -> dict[str, str]:
    """Build arguments and options of a `docker build`."""
    pairs = list(zip(call[1:-1:2], call[2:-1:2], strict=True))
    return {key.removeprefix("--"): value for key, value in pairs if key != "--build-arg"} | dict(
        value.split("=", 1) for key, value in pairs if key == "--build-arg"
    )


def test_both_images_are_built_from_here(docker: Path) -> None:
    ray, spark = map(options, make(docker, "images"))
    assert (ray["target"], ray["tag"]) == ("ray", "seatrial-ray:0.1.0")
    assert (spark["target"], spark["tag"]) == ("spark", "seatrial-spark:0.1.0")
    assert json.loads(ray["VERSIONS"])["ray"]
    assert json.loads(spark["VERSIONS"])["spark"]
    assert ray["TORCH_BACKEND"] == "cpu"
    assert spark["HADOOP_CLOUD"] == ""
    assert "RAY_EXTRAS" not in ray  # the Dockerfile's own default holds


def test_choices_reach_the_build(docker: Path) -> None:
    words = ["TORCH_BACKEND=cu128", "HADOOP_CLOUD=aws azure", "RAY_EXTRAS=train serve", f"BUILD_ARGS={shlex.join(['--platform', 'linux/amd64'])}"]
    ray = options(make(docker, "images", *words)[0])
    assert (ray["TORCH_BACKEND"], ray["HADOOP_CLOUD"], ray["RAY_EXTRAS"], ray["platform"]) == ("cu128", "aws azure", "train serve", "linux/amd64")


def test_images_for_the_clouds_have_the_same_names(docker: Path) -> None:
    ray, spark = map(options, make(docker, "images", "CLOUD=1", "HADOOP_CLOUD=aws"))
    assert (ray["target"], ray["tag"]) == ("ray-cloud", "seatrial-ray:0.1.0")
    assert (spark["target"], spark["tag"], spark["HADOOP_CLOUD"]) == ("spark-cloud", "seatrial-spark:0.1.0", "aws")
    assert json.loads(ray["VERSIONS"])["ray"]


@pytest.mark.parametrize("registry", ["registry.example.org/team", "registry.example.org/team/"])
def test_a_push_builds_and_pushes_under_the_registry(docker: Path, registry: str) -> None:
    calls = make(docker, "images", "push", f"REGISTRY={registry}")
    assert [call[0] for call in calls] == ["build", "build", "push", "push"]
    assert calls[2:] == [["push", f"registry.example.org/team/seatrial-{image}:0.1.0"] for image in ("ray", "spark")]
    assert options(calls[0])["tag"] == calls[2][1]


def test_a_push_without_a_registry_is_refused_before_anything_is_built(docker: Path) -> None:
    answer = subprocess.run(["make", "push", f"DOCKER={docker}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    assert "make images push REGISTRY=host/path" in answer.stderr
    assert not (docker.parent / "calls").exists()


def test_the_bill_of_materials_lies_in_dist(docker: Path, tmp_path: Path) -> None:
    calls = make(docker, "sbom", f"SBOM={tmp_path}/sbom")
    assert [call[-3] for call in calls] == ["docker:seatrial-ray:0.1.0", "docker:seatrial-spark:0.1.0"]
    assert [call[-2:] for call in calls] == [["--output", "cyclonedx-json"]] * 2
    assert not [word for call in calls for word in call if word.endswith(":latest")]
    assert (tmp_path / "sbom/seatrial-ray-0.1.0.cdx.json").read_text() == "an answer\n"
