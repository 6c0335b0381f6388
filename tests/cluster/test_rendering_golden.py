"""The flights pipeline as Kubernetes objects, word for word; a change must be looked at and accepted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from jobs.control.spec import KubernetesTarget, Step
from tests.cluster import rendered

GOLDEN = Path(__file__).parent / "golden"
ACCEPT = "SEATRIAL_ACCEPT_GOLDEN"
_ACCEPTED = bool(os.environ.get(ACCEPT))  # read before each test's environment is cleaned
GPU = ("steps.train.resources.gpu=1", "steps.train.resources.accelerator=NVIDIA-A10G")


class _Readable(yaml.SafeDumper):
    """Files inside ConfigMaps as blocks of lines."""


_Readable.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None))


def text_of(steps: Mapping[str, Step], settings: KubernetesTarget) -> str:
    """All steps' objects; the code, which they share, once."""
    objects = {(each["kind"], each["metadata"]["name"]): each for name, step in steps.items() for each in rendered.objects(step, settings, name)}
    return yaml.dump_all(objects.values(), Dumper=_Readable, sort_keys=False, width=140)


@pytest.mark.parametrize(
    ("name", "overrides", "settings"),
    [
        ("flights-cpu", (), KubernetesTarget()),
        ("flights-gpu", GPU, KubernetesTarget(gpu_node_selector={"pool": "gpu"})),
    ],
)
def test_the_flights_pipeline_is_rendered_as_accepted(name: str, overrides: tuple[str, ...], settings: KubernetesTarget) -> None:
    text, path = text_of(rendered.flights(*overrides), settings), GOLDEN / f"{name}.yaml"
    if _ACCEPTED:
        path.write_text(text)
    assert text == path.read_text(), f"{path} differs; look at the change, then accept it with {ACCEPT}=1 pytest {Path(__file__).name}"


def test_the_same_arguments_give_the_same_bytes_and_stay_as_they_are() -> None:
    steps, settings = rendered.flights(*GPU), KubernetesTarget(queue="team", tolerations=({"key": "spot", "operator": "Exists"},))
    before = (repr(steps), repr(settings))
    first = text_of(steps, settings)
    assert text_of(steps, settings) == first
    assert (repr(steps), repr(settings)) == before


def test_no_object_can_change_another_one_or_the_next_plan() -> None:
    step = rendered.flights()["features"]
    first = rendered.objects(step)
    first[-1]["spec"]["template"]["spec"]["securityContext"].clear()
    first[-1]["metadata"]["labels"].clear()
    assert rendered.objects(step)[-1]["spec"]["template"]["spec"]["securityContext"]
    assert first[0]["metadata"]["labels"]
    assert first[1]["metadata"]["labels"]
