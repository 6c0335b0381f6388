"""Model pieces, the loop's own arithmetic, the choice of a device, and the exported graph."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from jobs.contracts.dataset import Statistics
from jobs.contracts.errors import RequestError, RunError, SetupError
from jobs.contracts.workload import Model
from jobs.scoring import metrics
from jobs.steps import export, objectives, tabular, training_loop
from jobs.steps.device import Placement, compiles, place
from jobs.steps.loader import Rows
from jobs.steps.training_loop import Rates, Worker

BINARY = objectives.objective_of(Model("m", torch.nn.Identity(), (), (), {}))
CPU = place(0, cuda=False, bfloat16=False)
QUANTILES = {"0.01": -2.0, "0.05": -1.5, "0.25": 0.0, "0.5": 1.0, "0.75": 2.0, "0.95": 5.0, "0.99": 8.0}
COMPLETE = Statistics(count=100, nulls=0, mean=1.0, std=2.0, min=-5.0, max=90.0, quantiles=QUANTILES)
HOLED = COMPLETE.model_copy(update={"nulls": 10})
RARE = Statistics(count=100, nulls=0, mean=0.01, std=0.1, min=0.0, max=1.0, quantiles=dict.fromkeys(QUANTILES, 0.0))
EMPTY = Statistics(count=100, nulls=100)
NAN = float("nan")


def test_standardise_imputes_clips_scales_and_marks_nulls() -> None:
    layer = tabular.Standardise([COMPLETE, HOLED])
    result = layer(torch.tensor([[1.0, 5.0], [NAN, NAN], [-100.0, 100.0]]))
    expected = [[0.0, 2.0, 0.0], [0.0, 0.0, 1.0], [-1.5, 3.5, 0.0]]  # (value - 1) / 2 within [-2, 8]; null = median 1; one mark: only column 2 had nulls
    torch.testing.assert_close(result, torch.tensor(expected))
    assert layer.width == 3


def test_standardise_keeps_a_rare_value_and_survives_a_column_without_values() -> None:
    result = tabular.Standardise([RARE, EMPTY])(torch.tensor([[0.0, NAN], [1.0, 3.0]]))
    torch.testing.assert_close(result, torch.tensor([[-0.1, 0.0, 1.0], [9.9, 0.0, 0.0]]))


def test_piecewise_linear_says_how_far_a_value_is_through_each_interval() -> None:
    layer = tabular.PiecewiseLinear([RARE, HOLED, EMPTY])
    result = layer(torch.tensor([[0.0, 3.5, NAN], [1.0, NAN, 2.0], [0.0, -9.0, 0.0]]))
    expected = [[1, 1, 1, 1, 0.5, 0], [1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]]  # of -2, -1.5, 0, 1, 2, 5, 8; null = median 1
    torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float32))
    assert layer.width == 6, "a constant column and an empty one have no interval"


def test_embeddings_give_each_column_its_own_rows() -> None:
    layer = tabular.Embeddings([2, 3], 4)
    assert layer.table.num_embeddings == 7
    result = layer(torch.tensor([[2, 0], [0, 3]], dtype=torch.int32))
    torch.testing.assert_close(result[0], torch.cat([layer.table.weight[2], layer.table.weight[3]]))
    torch.testing.assert_close(result[1], torch.cat([layer.table.weight[0], layer.table.weight[6]]))


@pytest.mark.parametrize("kind", [tabular.EmbeddingMLP, tabular.Logistic])
def test_exported_graph_computes_what_the_module_computes(kind: type[torch.nn.Module]) -> None:
    torch.manual_seed(1)
    module = export.Answer(kind([3, 5], [COMPLETE, HOLED, RARE, EMPTY])).eval()
    session = onnxruntime.InferenceSession(export.to_onnx(module, 2, 4))
    random = np.random.default_rng(0)
    for rows in (1, 7, 1000):
        categorical = np.stack([random.integers(0, 4, rows), random.integers(0, 6, rows)], 1)
        numeric = np.where(random.random((rows, 4)) < 0.2, np.nan, random.normal(0, 20, (rows, 4))).astype(np.float32)
        (scored,) = session.run(["probability"], {"categorical": categorical, "numeric": numeric})
        with torch.inference_mode():
            np.testing.assert_allclose(scored, module(torch.from_numpy(categorical), torch.from_numpy(numeric)).numpy(), atol=1e-6)
        assert scored.shape == (rows,)
        assert scored.dtype == np.float32


def test_graph_that_differs_from_its_module_is_refused() -> None:
    module = export.Answer(tabular.Logistic([3], [COMPLETE])).eval()
    rows = Rows(torch.zeros(5, 1, dtype=torch.int32), torch.ones(5, 1), torch.zeros(5))
    with torch.inference_mode():
        scored = module(rows.categorical, rows.numeric).numpy()
    export._compare(module, rows, scored)
    for wrong in (scored + 1e-4, np.full_like(scored, np.nan)):
        with pytest.raises(RunError, match="differs"):
            export._compare(module, rows, wrong)


def test_options_refuse_what_the_model_does_not_know() -> None:
    assert tabular.options({"hidden": 8, "rate": 0.1}, {"rate": 1}) == {"hidden": 8, "rate": 1}
    for wrong in ({"hiden": 8}, {"hidden": 8.5}, {"hidden": True}, {"rate": "fast"}):
        with pytest.raises(RequestError) as caught:
            tabular.options({"hidden": 8, "rate": 0.1}, wrong)
        assert next(iter(wrong)) in str(caught.value)


def test_learning_rate_rises_then_falls_over_all_epochs_and_resumes_in_place() -> None:
    rates = Rates(1.0, 100)
    path = [rates.next() for _ in range(100)]
    assert path[0] == pytest.approx(0.04)
    assert path[20] == 1.0 == max(path)
    assert path[99] < 0.02
    assert path[:21] == sorted(path[:21])
    assert path[20:] == sorted(path[20:], reverse=True)
    resumed = Rates(1.0, 100, step=60)
    assert [resumed.next() for _ in range(40)] == path[60:]


class _Given:
    """A loader of the given rows; as a module, it answers with their first number."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def in_order(self, batch: int) -> list[Rows]:
        return [self._rows.slice(0, 100), self._rows.slice(100, len(self._rows))]


class _FirstNumber(torch.nn.Module):
    def forward(self, categorical: torch.Tensor, numeric: torch.Tensor) -> torch.Tensor:
        return numeric[:, 0]


def test_loss_and_auc_over_batches_are_those_of_all_rows() -> None:
    random = np.random.default_rng(0)
    labels = (random.random(3000) < 0.3).astype(np.float32)
    logits = (random.normal(0, 1, 3000) + labels).astype(np.float32)
    rows = Rows(torch.zeros(3000, 1, dtype=torch.int32), torch.from_numpy(logits[:, None]), torch.from_numpy(labels))
    measured = training_loop.evaluate(_FirstNumber(), _Given(rows), Worker(0, 1, CPU), BINARY)  # type: ignore[arg-type]
    expected = np.mean(np.logaddexp(0, logits) - labels * logits)
    assert measured.loss == pytest.approx(expected, rel=1e-5)
    assert measured.quality == pytest.approx(metrics.roc_auc(labels, logits), abs=3e-4)


def test_device_follows_from_the_request_and_the_machine() -> None:
    assert place(0, cuda=True, bfloat16=True) == Placement("cpu", "gloo", amp=False, pinned=False)
    assert place(1, cuda=True, bfloat16=True) == Placement("cuda", "nccl", amp=True, pinned=True)
    assert not place(1, cuda=True, bfloat16=False).amp
    with pytest.raises(SetupError, match="GPU"):
        place(1, cuda=False, bfloat16=False)


def test_precision_is_what_the_job_asks_for() -> None:
    assert not place(1, cuda=True, bfloat16=True, precision="fp32").amp
    assert place(1, cuda=True, bfloat16=True, precision="bf16").amp
    assert place(0, cuda=False, bfloat16=False, precision="bf16") == Placement("cpu", "gloo", amp=True, pinned=False)
    assert not place(0, cuda=False, bfloat16=False, precision="fp32").amp
    with pytest.raises(SetupError, match="bfloat16"):
        place(1, cuda=True, bfloat16=False, precision="bf16")


def test_compiling_is_done_where_it_pays() -> None:
    many, few = 10_000, 100
    assert compiles("auto", "cuda", many, able=True)
    assert not compiles("auto", "cuda", few, able=True), "it would take longer than the training"
    assert not compiles("auto", "cuda", many, able=False)
    assert not compiles("auto", "cpu", many, able=True)
    assert compiles("on", "cpu", few, able=True)
    assert not compiles("off", "cuda", many, able=True)
    with pytest.raises(SetupError, match="C compiler"):
        compiles("on", "cuda", many, able=False)


def test_mixed_precision_computes_in_bfloat16_and_keeps_float32_weights() -> None:
    mixed = Placement("cpu", "gloo", amp=True, pinned=False)  # the CPU can do it too, so the path is tested here
    seen: list[torch.dtype] = []
    module = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    module[0].register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    wrapped = type("Wrapped", (torch.nn.Module,), {"forward": lambda self, categorical, numeric: module(numeric)})()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1, fused=True)
    rows = Rows(torch.zeros(8, 1, dtype=torch.int32), torch.randn(8, 2), torch.ones(8))
    loss = training_loop.run_epoch(wrapped, optimizer, [rows], Rates(0.1, 10), mixed, BINARY)
    assert seen == [torch.bfloat16]
    assert module[0].weight.dtype == torch.float32
    assert math.isfinite(loss)


def test_mlmodel_is_readable_by_mlflow(tmp_path: Path) -> None:
    mlflow_models = pytest.importorskip("mlflow.models")
    (tmp_path / "MLmodel").write_bytes(export.mlmodel())
    flavors = mlflow_models.Model.load(str(tmp_path)).flavors
    assert flavors["onnx"]["data"] == "model.onnx"
    assert flavors["python_function"]["loader_module"] == "mlflow.onnx"
