"""``models:/name@alias`` as a step's input: which bundle it is bound to, and what stands for it in a plan that is only looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts import bundle as bundles
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Product
from jobs.control import planning, tracking
from jobs.control.binding import Binding
from jobs.control.detached import _local_inputs
from jobs.control.home import Home
from jobs.control.local_backend import LocalBackend
from jobs.control.mlflow_client import open_client
from jobs.control.model_inputs import Models
from jobs.control.plan import Source
from jobs.control.registry_mlflow import MlflowRegistry
from jobs.control.registry_reader import ModelVersion
from jobs.control.spec import Pipeline
from jobs.control.step_inputs import StepInputs
from tests.factories import make_bundle, make_dataset

STEP = {"kind": "predict", "inputs": {"bundle": "models:/parcels@champion", "rows": "data"}, "outputs": {"scores": "predictions"}}
FILE = Pipeline.model_validate({"apiVersion": "seatrial/v1", "name": "batch", "steps": {"score": STEP}})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two versions of a model; the first is the champion."""
    folder = tmp_path_factory.mktemp("home")
    home = Home(folder / ".seatrial")
    home.create()
    make_dataset(folder / "data", rows=400)
    client = open_client(home.tracking_uri)
    registry = MlflowRegistry(client, home.tracking_uri)
    experiment = tracking.experiment(client, "parcels", home.artifacts)
    for skill in (1.0, 0.5):
        make_bundle(folder / f"skill-{skill}", folder / "data", skill=skill)
        run = tracking.start_run(client, experiment, name=f"skill-{skill}", params={}, tags={})
        registry.register("parcels", str(folder / f"skill-{skill}"), run=run)
    registry.set_alias("parcels", "champion", "1")
    return home


def bound(home: Home, models: Models | None) -> Binding:
    return Binding(FILE, home.root.parent, "r", Source("code", "c"), models)


@pytest.mark.parametrize(("location", "skill"), [("models:/parcels@champion", 1.0), ("models:/parcels/2", 0.5), ("models:/parcels", 1.0)])
def test_a_model_is_bound_to_the_bundle_of_its_version(home: Home, location: str, skill: float) -> None:
    expected = bundles.load(str(home.root.parent / f"skill-{skill}"))
    source = Models(home).source(location)
    assert source.fingerprint == expected.fingerprint
    assert bundles.load(source.uri) == expected
    assert source.bytes > 0  # so another target is brought a copy


def test_a_run_and_a_submission_look_it_up_and_a_preview_shows_its_name(home: Home) -> None:
    binding = bound(home, Models(home))
    inputs = binding.inputs("score", {})
    assert inputs == StepInputs(binding, home, LocalBackend(home), "local", Path("batch.yaml")).of("score", {})
    given = StepInputs(binding, home, LocalBackend(home), "local", Path("batch.yaml")).of("score", {"bundle": "models:/parcels/2"})
    assert given["bundle"] != inputs["bundle"]
    assert binding.job("score", given).fingerprint != binding.job("score", inputs).fingerprint
    assert bound(home, None).inputs("score", {})["bundle"].uri == "models:/parcels@champion"
    file = home.root.parent / "batch.yaml"
    file.write_text(FILE.model_dump_json(by_alias=True, exclude_unset=True))
    shown = planning.preview(file, home, "local")[0].requests[0].body
    assert shown["env"]["SEATRIAL_INPUT_BUNDLE"] == "models:/parcels@champion"


def test_a_detached_driver_looks_it_up_itself(home: Home) -> None:
    sources, places = _local_inputs(FILE, home.root.parent)
    assert list(places.values()) == [["score", "rows"]]
    assert len(sources) == 1


@pytest.mark.parametrize("location", ["models:/nobody@champion", "models:/parcels@rising", "models:/parcels/9"])
def test_what_is_not_registered_is_named(home: Home, location: str) -> None:
    with pytest.raises(RequestError) as refused:
        Models(home).source(location)
    assert "parcels" in f"{refused.value.what} {refused.value.hint}"


class _Registry:
    """A target's own, with one champion."""

    def champion(self, name: str) -> ModelVersion | None:
        return ModelVersion(name, "3", "s3://store/runs/r/train/bundle", "f" * 64) if name == "parcels" else None

    def register(self, name: str, bundle: Product, *, tags: Mapping[str, str], verdict: Mapping[str, Any]) -> ModelVersion:
        raise AssertionError

    def set_alias(self, name: str, alias: str, version: str) -> None:
        raise AssertionError


def test_a_target_with_a_registry_of_its_own_is_asked_for_its_champion(home: Home) -> None:
    models = Models(home, _Registry())
    assert models.source("models:/parcels@champion") == Source("s3://store/runs/r/train/bundle", "f" * 64)
    for location in ("models:/parcels/3", "models:/parcels@challenger", "models:/nobody"):
        with pytest.raises(RequestError, match="champion"):
            models.source(location)
