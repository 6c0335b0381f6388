"""Every valid job file has a plan on every target, or a documented refusal; the same bytes each time, and no network."""

from __future__ import annotations

import importlib.util
import json

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from jobs.contracts import fingerprint
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Product
from jobs.control import plan_view
from jobs.control.backend import BACKENDS, open_backend
from jobs.control.binding import Binding
from jobs.control.home import Home
from jobs.control.plan import Plan, Source
from jobs.control.prices import load_prices, with_price
from jobs.control.schema import job_file_schema
from jobs.control.spec import Pipeline
from tests.jobs.control.specs import forbid_network, pipelines, sources_of

TARGETS = [target for target, place in BACKENDS.items() if importlib.util.find_spec(place.partition(":")[0])]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_network(monkeypatch)


@pytest.fixture(scope="module")
def binding(tmp_path_factory: pytest.TempPathFactory) -> Binding:
    """The parts of a binding that are no spec: a folder and its code."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "flights").mkdir()
    (folder / "flights" / "features.py").write_text("def build(params):\n    return None\n")
    digest = fingerprint.of_code(folder)
    return Binding(Pipeline.model_construct(), folder, "preview", Source(str(folder), digest, bytes=40, files=1))


def plan_all(target: str, binding: Binding, home: Home) -> list[Plan]:
    """As planning.preview does, with sources that need no file."""
    backend = open_backend(target, home, binding.pipeline.targets)
    plans: list[Plan] = []
    products: dict[str, dict[str, Product]] = {}
    for name in binding.pipeline.order():
        inputs = sources_of(binding, name, products)
        job = binding.job(name, inputs)
        plan = backend.plan(binding.pipeline.steps[name], job, inputs, binding.code, {"SEATRIAL_TRACKING_URI": "http://mlflow:5000"})
        products[name] = {output: Product(uri=uri, fingerprint=job.fingerprint) for output, uri in plan.outputs.items()}
        plans.append(plan)
    return plans


def planned_or_refused(target: str, binding: Binding, home: Home) -> tuple[str, str]:
    """YAML and JSON of all plans. A refusal must say what to do."""
    try:
        plans = plan_all(target, binding, home)
    except RequestError as error:
        if not error.hint:
            pytest.fail(f"a refusal that does not say what to do: {error}")
        event(f"refused: {error.what}")
        return str(error), ""
    for name, plan in zip(binding.pipeline.order(), plans, strict=True):
        check_plan(plan, binding.pipeline, name)
    return "".join(map(str, plans)), json.dumps([plan.as_dict() for plan in plans])


def check_plan(plan: Plan, pipeline: Pipeline, step: str) -> None:
    assert plan.step == step
    assert plan.requests
    assert set(plan.outputs) == set(pipeline.steps[step].outputs)
    assert all(loss.strip() for loss in plan.losses)
    # Content-addressed: at least 128 bits of the hash, for Ray shortens it in the names of its packages.
    assert all(upload.fingerprint[:32] in upload.target for upload in plan.uploads)


def check(target: str, pipeline: Pipeline, binding: Binding, home: Home) -> None:
    bound = Binding(pipeline, binding.folder, binding.run, binding.code)
    before = pipeline.model_dump_json()
    assert planned_or_refused(target, bound, home) == planned_or_refused(target, bound, home)
    assert pipeline.model_dump_json() == before


def home_in(binding: Binding) -> Home:
    return Home(binding.folder / ".seatrial")


@pytest.mark.parametrize("target", TARGETS)
@given(pipeline=pipelines())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_valid_job_file_is_planned_alike_twice(target: str, binding: Binding, pipeline: Pipeline) -> None:
    check(target, pipeline, binding, home_in(binding))
    assert not home_in(binding).root.exists()


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("target", TARGETS)
@given(pipeline=pipelines())
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
def test_ten_thousand_valid_job_files_are_planned_alike_twice(target: str, binding: Binding, pipeline: Pipeline) -> None:
    check(target, pipeline, binding, home_in(binding))


@given(pipeline=pipelines(), width=st.integers(40, 250))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_plans_are_shown_side_by_side(binding: Binding, pipeline: Pipeline, width: int) -> None:
    bound, prices = Binding(pipeline, binding.folder, binding.run, binding.code), load_prices(home_in(binding))
    columns = []
    for target in TARGETS:
        try:
            plans = plan_all(target, bound, home_in(binding))
            columns.append(plan_view.Column(target, {plan.step: with_price(plan, pipeline.steps[plan.step], prices) for plan in plans}))
        except RequestError as error:
            columns.append(plan_view.Column(target, error=error))
    text = plan_view.render(pipeline, columns, width)
    assert text == plan_view.render(pipeline, columns, width)
    assert all(name in text for name in pipeline.steps)


@given(pipeline=pipelines())
@settings(max_examples=60, deadline=None)
def test_what_the_models_accept_the_schema_accepts(pipeline: Pipeline) -> None:
    from jsonschema import Draft202012Validator

    written = json.loads(pipeline.model_dump_json(by_alias=True, exclude_unset=True))
    assert not list(Draft202012Validator(job_file_schema()).iter_errors(written))
