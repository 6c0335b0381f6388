"""Training by a compiled model, and in bfloat16: on the CPU, which can do both."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts.errors import RequestError
from jobs.steps.settings import Settings
from jobs.steps.train import train
from tests import factories
from tests.jobs.steps import gloo, training

STEADY = {"seed": 3, "batch": 128, "dropout": 0.0, "epochs": 2}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    factories.make_dataset(folder, rows=3000)
    return folder


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs g++ for the CPU")
@pytest.mark.filterwarnings("default")  # of torch's own compiler
def test_a_compiled_model_learns_the_same_and_its_weights_keep_their_names(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    eager, compiled = (training.context(tmp_path / wish, dataset, params=STEADY | {"compile": wish}) for wish in ("off", "on"))
    result = train(compiled)
    weights = gloo.last(compiled).model
    assert list((tmp_path / "cache").rglob("*.so")), "nothing was compiled"
    assert gloo.gap(weights, gloo.trained(eager)) < 1e-4
    assert result.summary["epochs"] == 2


def test_bfloat16_learns_nearly_the_same(dataset: Path, tmp_path: Path) -> None:
    of = {
        precision: gloo.trained(training.context(tmp_path / precision, dataset, params=STEADY | {"precision": precision}))
        for precision in ("auto", "fp32", "bf16")
    }
    assert gloo.gap(of["auto"], of["fp32"]) == 0, "on a CPU"
    assert 0 < gloo.gap(of["bf16"], of["fp32"]) < 0.05
    assert {str(tensor.dtype) for tensor in of["bf16"].values()} == {str(tensor.dtype) for tensor in of["fp32"].values()}


@pytest.mark.parametrize(("value", "meant"), [(True, "on"), (False, "off"), ("on", "on"), ("auto", "auto")])
def test_yaml_reads_a_bare_on_as_true(tmp_path: Path, value: Any, meant: str) -> None:
    assert Settings.of(training.context(tmp_path, tmp_path, params={"compile": value})).compile == meant


@pytest.mark.parametrize("params", [{"compile": "yes"}, {"compile": 1}, {"precision": "fp16"}, {"precision": True}])
def test_a_word_that_is_not_known_is_named(tmp_path: Path, params: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="none of") as caught:
        Settings.of(training.context(tmp_path, tmp_path, params=params))
    assert caught.value.where == f"params.{next(iter(params))}"
