"""Every task type, and free text, from a dataset through training and evaluation to an answer over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.contracts import bundle as bundles
from jobs.contracts import dataset as datasets
from jobs.contracts.errors import InputError, RequestError, SpecError
from jobs.contracts.job import Context, Job
from jobs.control.registry_reader import ModelVersion
from jobs.scoring import tasks
from jobs.scoring.scorer import Scorer
from jobs.steps import evaluate
from jobs.steps.train import train
from tests.jobs.steps import training
from tests.serve.conftest import Alias, application, call
from tests.workloads import kinds_data

KINDS = training.REPOSITORY / "tests" / "workloads" / "kinds"
CASES = {"classes": "class", "number": "days", "forecast": "days", "notes": "late"}  # entry -> label


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per entry, with its dataset and its bundle."""
    root = tmp_path_factory.mktemp("tasks")
    for entry, label in CASES.items():
        kinds_data.make_dataset(root / entry / "data", label)
        train(context(root, entry))
    return root


def context(root: Path, entry: str) -> Context:
    made = training.context(root / entry, root / entry / "data", entry=f"kinds.model:{entry}", fingerprint=entry)
    return Context(made.job, made.folder, made.inputs, made.outputs, code=str(KINDS))


def judged(root: Path, entry: str, params: dict[str, Any] | None = None, **inputs: str) -> evaluate.StepResult:
    places = {"dataset": str(root / entry / "data"), "bundle": str(root / entry / "bundle"), **inputs}
    job = Job(pipeline="parcels", run="r1", step="judge", kind="evaluate", params={"bootstrap": 50, **(params or {})}, fingerprint="f", inputs=tuple(places))
    folder = root / entry / "judge"
    folder.mkdir(exist_ok=True)
    return evaluate.work(Context(job, folder, places, {"report": str(root / entry / "report")}))


@pytest.mark.parametrize(
    ("entry", "metric", "worse"), [("classes", "accuracy", 0.55), ("number", "rmse", 1.5), ("forecast", "mae", 1.2), ("notes", "roc_auc", 0.8)]
)
def test_a_model_learns_and_beats_knowing_nothing(trained: Path, entry: str, metric: str, worse: float) -> None:
    result = judged(trained, entry)
    numbers = json.loads((trained / entry / "report" / "metrics.json").read_text())
    model, baseline = (numbers["contenders"][role]["metrics"] for role in ("model", "baseline"))
    sign = tasks.of(bundles.load(str(trained / entry / "bundle")).task).better(metric)
    assert sign * model[metric]["value"] > sign * worse
    assert sign * model[metric]["value"] > sign * baseline[metric]["value"]
    assert model[metric]["low"] < model[metric]["value"] < model[metric]["high"]
    assert result.summary["champion"]
    page = (trained / entry / "report" / "report.html").read_text()
    assert page.count("<svg") >= 4
    assert ("ROC AUC" in page) == (entry == "notes")


def test_the_bundle_says_what_it_predicts(trained: Path) -> None:
    found = {entry: bundles.load(str(trained / entry / "bundle")) for entry in CASES}
    assert {entry: bundle.task for entry, bundle in found.items()} == {
        "classes": "multiclass",
        "number": "regression",
        "forecast": "forecast",
        "notes": "binary",
    }
    assert found["classes"].classes == tuple(sorted(kinds_data.CLASSES))
    assert found["number"].output == "value of: days until it arrived (d)"
    assert [field.kind for field in found["notes"].inputs] == ["text", "number"]
    assert "classes" not in found["number"].model_dump()  # older bundles keep their fingerprint
    assert "note" not in (trained / "notes" / "bundle" / "reference.json").read_text()


def test_every_metric_line_names_the_tasks_own_quality(trained: Path) -> None:
    for entry, name in (("classes", "validation_accuracy"), ("number", "validation_mae"), ("notes", "validation_auc")):
        lines = [json.loads(line) for line in (trained / entry / "metrics.jsonl").read_text().splitlines()]
        assert sum(name in line and line["system/process_memory_megabytes"] > 0 and line["learning_rate"] > 0 for line in lines) >= 4


def test_predictions_name_the_class_or_the_value(trained: Path) -> None:
    judged(trained, "classes")
    table = pq.read_table(trained / "classes" / "report" / "predictions.parquet")
    assert set(table["prediction"].to_pylist()) <= set(kinds_data.CLASSES)
    chances = np.stack([table[f"probability_{name}"].to_numpy() for name in kinds_data.CLASSES], axis=1)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    judged(trained, "number")
    assert pq.read_table(trained / "number" / "report" / "predictions.parquet").column_names == ["row_id", "days", "value"]


@pytest.mark.parametrize("entry", list(CASES))
def test_the_service_answers_as_the_scorer_does(trained: Path, entry: str) -> None:
    uri = str(trained / entry / "bundle")
    scorer = Scorer(uri)
    app = application(Alias(ModelVersion("parcels", "1", uri, scorer.fingerprint)))
    app.slot.refresh()
    test = datasets.read_part(str(trained / entry / "data"), datasets.load_manifest(str(trained / entry / "data")), "test").slice(0, 40)
    rows = test.select([field.name for field in scorer.bundle.inputs]).to_pylist()
    offline, answer = scorer.score(test), call(app, "POST", "/predict", rows).json["predictions"]
    if entry == "classes":
        assert [each["label"] for each in answer] == [scorer.bundle.classes[place] for place in offline.argmax(axis=1)]
        online = np.array([[each["probabilities"][name] for name in scorer.bundle.classes] for each in answer])
        assert [each["probability"] for each in answer] == pytest.approx(offline.max(axis=1).tolist())
    else:
        online = np.array([each["probability" if entry == "notes" else "value"] for each in answer])
    np.testing.assert_allclose(online, offline, rtol=1e-5, atol=1e-6)
    tensors = [
        {"name": field.name, "datatype": "FP64" if field.kind == "number" else "BYTES", "shape": [40], "data": [row[field.name] for row in rows]}
        for field in scorer.bundle.inputs
    ]
    (output,) = call(app, "POST", "/v2/models/parcels/infer", {"inputs": tensors}).json["outputs"]
    assert (output["name"], output["shape"]) == (scorer.task.output, list(offline.shape))
    np.testing.assert_allclose(np.array(output["data"]).reshape(offline.shape), offline, rtol=1e-5, atol=1e-6)
    invoked = call(app, "POST", "/invocations", {"dataframe_records": rows}).json["predictions"]
    np.testing.assert_allclose(np.array(invoked), offline, rtol=1e-5, atol=1e-6)
    assert call(app, "POST", "/predict", []).json["predictions"] == []


def test_a_gate_measures_what_the_task_has(trained: Path) -> None:
    with pytest.raises(SpecError, match="no metric 'roc_auc'") as caught:
        judged(trained, "number", {"gate": {"metric": "roc_auc"}})
    assert (caught.value.where, caught.value.hint) == ("params.gate.metric", "a model for regression is measured by rmse, mae, r2")


def test_another_question_is_no_comparison(trained: Path) -> None:
    with pytest.raises(InputError, match="the baseline is a model for regression"):
        judged(trained, "classes", baseline=str(trained / "number" / "bundle"))
    result = judged(trained, "classes", champion=str(trained / "number" / "bundle"))
    assert not result.summary["champion"]
    assert "it is a model for regression" in " ".join(result.summary["reasons"])


def test_a_model_of_classes_names_them(trained: Path) -> None:
    made = training.context(trained / "unnamed", trained / "classes" / "data", entry="kinds.model:unnamed")
    with pytest.raises(RequestError, match="a model for multiclass has 0 classes"):
        train(Context(made.job, made.folder, made.inputs, made.outputs, code=str(KINDS)))
