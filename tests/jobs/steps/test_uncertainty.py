"""What a train step adds on the validation part, from the job's parameters to the published bundle and what it answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from jobs.contracts import bundle as bundles
from jobs.contracts import dataset as datasets
from jobs.contracts import fingerprint
from jobs.contracts.bundle import Costs
from jobs.contracts.errors import RequestError
from jobs.contracts.job import Context, Job
from jobs.control.registry_reader import ModelVersion
from jobs.scoring import calibration, costs, metrics, tasks
from jobs.scoring.scorer import Scorer
from jobs.steps import checkpoints, evaluate, export, predict, training_run
from jobs.steps.train import train
from jobs.steps.uncertainty import NAMES, Uncertainty
from serve import task_answers
from tests.jobs.steps import training
from tests.serve.conftest import Alias, application, call
from tests.workloads import kinds_data

KINDS = training.REPOSITORY / "tests" / "workloads" / "kinds"
LABELS = {"classes": "class", "number": "days", "forecast": "days", "notes": "late"}  # entry -> label
PLAIN: dict[str, Any] = {"seed": 3, "batch": 128}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uncertainty")
    for label in set(LABELS.values()):
        kinds_data.make_dataset(folder / label, label)
    return folder


def context(root: Path, entry: str, **params: Any) -> Context:
    """A train step with these parameters in a folder of its own."""
    name = f"{entry}-{fingerprint.of(params)[:8]}" if params else entry
    made = training.context(root / name, root / LABELS[entry], entry=f"kinds.model:{entry}", fingerprint=name, params={**PLAIN, **params})
    return Context(made.job, made.folder, made.inputs, made.outputs, code=str(KINDS))


def trained(root: Path, entry: str, **params: Any) -> Scorer:
    made = context(root, entry, **params)
    if not (made.folder / "bundle" / bundles.BUNDLE).exists():
        train(made)
    return Scorer(made.outputs["bundle"])


def part_of(root: Path, scorer: Scorer, entry: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """(labels, answers) of a part."""
    folder = str(root / LABELS[entry])
    manifest = datasets.load_manifest(folder)
    table = datasets.read_part(folder, manifest, part)
    return tasks.labels_of(table[manifest.label.name], scorer.bundle.classes), scorer.score(table)


@pytest.mark.parametrize("entry", ["notes", "classes"])
def test_a_calibrated_bundle_answers_with_its_temperature_and_ranks_as_before(root: Path, entry: str) -> None:
    plain, calibrated = trained(root, entry), trained(root, entry, calibrate="temperature")
    temperature = calibrated.bundle.temperature
    assert (plain.bundle.temperature, temperature == 1.0) == (1.0, False)
    (labels, before), (_, after) = part_of(root, plain, entry, "validation"), part_of(root, calibrated, entry, "validation")
    np.testing.assert_allclose(calibration.undone(after, temperature), before, atol=1e-4)
    if entry == "notes":
        assert metrics.roc_auc(labels, after) == pytest.approx(metrics.roc_auc(labels, before), abs=1e-6)
        assert calibrated.bundle.threshold == metrics.best_f1_threshold(labels, after)
    else:
        assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
    surprise = [
        -np.log(answers[np.arange(len(labels)), labels.astype(int)] if answers.ndim == 2 else np.abs(1 - labels - answers)).mean()
        for answers in (before, after)
    ]
    assert surprise[1] < surprise[0]


def test_the_graph_agrees_with_torch_about_the_temperature(root: Path) -> None:
    made = context(root, "classes", calibrate="temperature")
    scorer = trained(root, "classes", calibrate="temperature")
    model = training_run.build(made, datasets.load_manifest(made.inputs["dataset"]))
    best = checkpoints.newest(made.checkpoints, made.job.fingerprint)
    assert best is not None
    model.module.load_state_dict(checkpoints.of_epoch(made.checkpoints, made.job.fingerprint, best.progress.best_epoch).model)
    manifest = datasets.load_manifest(made.inputs["dataset"])
    test = datasets.read_part(made.inputs["dataset"], manifest, "test")
    tensors = scorer.encoder.encode(dict(zip(test.column_names, test.columns, strict=True)), test.num_rows)
    module = export.Answer(model.module, model.task, scorer.bundle.temperature).eval()
    with torch.inference_mode():
        np.testing.assert_allclose(scorer.score(test), module(*map(torch.from_numpy, tensors)).numpy(), atol=export.TOLERANCE)


def test_costs_choose_the_threshold_on_calibrated_probabilities(root: Path) -> None:
    prices = {"false_positive": 1, "false_negative": 20}
    scorer = trained(root, "notes", calibrate="temperature", costs=prices)
    assert scorer.bundle.costs == Costs(**prices)
    labels, scores = part_of(root, scorer, "notes", "validation")
    assert scorer.bundle.threshold == costs.cheapest_threshold(labels, scores, Costs(**prices))
    assert scorer.bundle.threshold < trained(root, "notes", calibrate="temperature").bundle.threshold


def judged(root: Path, entry: str, **params: Any) -> tuple[dict[str, Any], str]:
    """(metrics.json, report.html) of that bundle's evaluation on the test part."""
    trained(root, entry, **params)
    made = context(root, entry, **params)
    places = {"dataset": made.inputs["dataset"], "bundle": made.outputs["bundle"]}
    job = Job(pipeline="parcels", run="r1", step="judge", kind="evaluate", params={"bootstrap": 50}, fingerprint="f", inputs=tuple(places))
    report = made.folder / "report"
    evaluate.work(Context(job, made.folder, places, {"report": str(report)}))
    return json.loads((report / evaluate.NUMBERS).read_text()), (report / evaluate.REPORT).read_text()


@pytest.mark.parametrize("entry", ["notes", "classes"])
def test_the_report_shows_the_calibration_error_before_and_after(root: Path, entry: str) -> None:
    numbers, page = judged(root, entry, calibrate="temperature")
    found, plain = numbers["uncertainty"]["calibration"], judged(root, entry)[0]
    assert found["before"]["value"] == pytest.approx(plain["contenders"]["model"]["metrics"]["calibration_error"]["value"], abs=2e-3)
    assert found["after"] == numbers["contenders"]["model"]["metrics"]["calibration_error"]
    assert set(numbers["contenders"]) == {"model", "baseline"}
    assert f"uncalibrated, error {found['before']['value']:.3f}" in page
    assert 'href="#uncertainty"' in page


def test_the_report_compares_what_decisions_cost(root: Path) -> None:
    prices = {"false_positive": 1, "false_negative": 20}
    numbers, page = judged(root, "notes", calibrate="temperature", costs=prices)
    scorer = trained(root, "notes", calibrate="temperature", costs=prices)
    labels, scores = part_of(root, scorer, "notes", "test")
    found = {one["name"]: one for one in numbers["uncertainty"]["policies"]}
    assert found["the model's threshold"]["cost"] == costs.cost_of(labels, scores, scorer.bundle.threshold, Costs(**prices))
    assert found["threshold 0.5"]["cost"] == costs.cost_of(labels, scores, 0.5, Costs(**prices))
    assert found["always no"]["cost"] == pytest.approx(20 * labels.mean())
    assert found["always yes"]["cost"] == pytest.approx(1 - labels.mean())
    assert found["always yes"]["flagged"] == 1
    assert found["the model's threshold"]["cost"] < min(found["threshold 0.5"]["cost"], found["always no"]["cost"])
    assert "a wrong yes costs 1 and a wrong no 20" in page


@pytest.mark.parametrize("entry", ["number", "forecast"])
def test_intervals_hold_on_the_test_part_what_they_promise(root: Path, entry: str) -> None:
    numbers, page = judged(root, entry, intervals=0.9)
    bundle = trained(root, entry, intervals=0.9).bundle
    assert bundle.intervals is not None
    assert bundle.intervals.level == 0.9
    found = numbers["uncertainty"]["coverage"]
    assert found["mean_width"] == 2 * bundle.intervals.half_width
    assert abs(found["covered"]["value"] - 0.9) < 0.05
    assert found["covered"]["low"] < 0.9 < found["covered"]["high"]
    assert "mean width is in the label&#39;s unit (d)" in page or "mean width is in the label's unit (d)" in page


def test_batch_and_serving_answer_the_same_interval(root: Path) -> None:
    scorer, made = trained(root, "number", intervals=0.9), context(root, "number", intervals=0.9)
    assert scorer.bundle.intervals is not None
    reach, (_, values) = scorer.bundle.intervals.half_width, part_of(root, scorer, "number", "test")
    places = {"bundle": made.outputs["bundle"], "rows": made.inputs["dataset"]}
    job = Job(pipeline="parcels", run="r1", step="score", kind="predict", params={"part": "test"}, fingerprint="f", inputs=tuple(places), outputs=("scores",))
    predict.work(Context(job, made.folder, places, {"scores": str(made.folder / "scores")}))
    table = pq.read_table(made.folder / "scores" / "predictions" / "part-00000.parquet")
    assert table.column_names == ["row_id", "moment", "prediction", "prediction_low", "prediction_high"]
    low, high = values.astype(np.float64) - reach, values.astype(np.float64) + reach
    np.testing.assert_array_equal(table["prediction_low"].to_numpy(), low.astype(np.float32))
    np.testing.assert_array_equal(table["prediction_high"].to_numpy(), high.astype(np.float32))
    app = application(Alias(ModelVersion("parcels", "1", made.outputs["bundle"], scorer.fingerprint)))
    app.slot.refresh()
    rows = datasets.read_part(made.inputs["dataset"], datasets.load_manifest(made.inputs["dataset"]), "test")
    answers = call(app, "POST", "/predict", rows.select([field.name for field in scorer.bundle.inputs]).to_pylist()).json["predictions"]
    described = call(app, "GET", "/v2/models/parcels").json["parameters"]
    assert described["intervals"] == {"level": 0.9, "half_width": reach}
    np.testing.assert_allclose([(each["low"], each["high"]) for each in answers], np.stack([low, high], axis=1), atol=1e-5)
    assert set(answers[0]) == set(task_answers.schema(scorer.bundle))
    np.testing.assert_allclose(task_answers.read(answers), values, atol=1e-5)
    plain = trained(root, "number").bundle
    assert set(task_answers.written(plain, values)[0]) == set(task_answers.schema(plain)) == {"value"}


def test_a_report_on_a_bundle_that_was_asked_nothing_is_as_before(root: Path) -> None:
    numbers, page = judged(root, "notes")
    assert "uncertainty" not in numbers
    assert "uncertainty" not in page


def test_a_bundle_that_was_asked_nothing_says_nothing(root: Path) -> None:
    scorer = trained(root, "notes")
    said = json.loads((root / "notes" / "bundle" / bundles.BUNDLE).read_text())
    assert not {"temperature", "costs", "intervals"} & set(said)
    assert trained(root, "notes", calibrate="none").bundle.files[bundles.MODEL] == scorer.bundle.files[bundles.MODEL]


@pytest.mark.parametrize(
    ("entry", "params", "message"),
    [
        ("number", {"calibrate": "temperature"}, "'calibrate' is for models of binary and multiclass, and this one is for regression"),
        ("classes", {"costs": {"false_positive": 1, "false_negative": 5}}, "'costs' is for models of binary, and this one is for multiclass"),
        ("classes", {"intervals": 0.9}, "'intervals' is for models of regression and forecast, and this one is for multiclass"),
        ("number", {"intervals": 90}, "less than 1"),
        ("notes", {"costs": {"false_positive": 1}}, "Field required"),
        ("notes", {"costs": {"false_positive": 0, "false_negative": 5}}, "greater than 0"),
        ("notes", {"calibrate": "platt"}, "Input should be 'none' or 'temperature'"),
    ],
)
def test_a_wrong_request_fails_before_training(root: Path, entry: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        train(context(root, entry, **params))
    assert caught.value.where.startswith(f"params.{next(iter(params))}")
    assert caught.value.hint


def test_the_guide_names_every_parameter_and_its_job_file_is_accepted() -> None:
    guide = (training.REPOSITORY / "docs/guides/uncertainty.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE)) == NAMES
    (example,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    asked = Uncertainty.of(training.job(params=yaml.safe_load(example)["train"]["params"]))
    assert asked == Uncertainty(calibrate="temperature", costs=Costs(false_positive=1, false_negative=5))
