"""The evaluate step as a process and as a function, on a small published dataset and real ONNX bundles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.contracts import bundle as bundles
from jobs.contracts import dataset as datasets
from jobs.contracts import fingerprint
from jobs.contracts.dataset import Role
from jobs.contracts.errors import InputError, IntegrityError, SpecError
from jobs.contracts.job import Context, Job
from jobs.scoring import metrics
from jobs.steps import evaluate, learning_curves, slices
from tests import factories


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/, and three bundles: model/bundle (the truth), weak/bundle, close/bundle."""
    folder = tmp_path_factory.mktemp("store")
    factories.make_dataset(folder / "data", rows=4000)
    for name, skill in {"model": 1.0, "weak": 0.2, "close": 0.97}.items():
        factories.make_bundle(folder / name / "bundle", folder / "data", skill=skill)
    return folder


def context(store: Path, folder: Path, params: dict[str, Any] | None = None, **inputs: str) -> Context:
    places = {"dataset": str(store / "data"), "bundle": str(store / "model/bundle")} | inputs
    job = Job(pipeline="p", run="r", step="judge", kind="evaluate", params=params or {}, inputs=tuple(places), outputs=("report",), fingerprint="f")
    return Context(job=job, folder=folder, inputs=places, outputs={"report": str(folder / "report")})


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / "report" / name).read_text())


def test_the_process_publishes_everything_with_the_verdict_last(store: Path, tmp_path: Path) -> None:
    made = context(store, tmp_path, baseline=str(store / "weak/bundle"))
    (tmp_path / "job.json").write_text(made.job.model_dump_json())
    env = {f"SEATRIAL_INPUT_{name.upper()}": uri for name, uri in made.inputs.items()} | {"SEATRIAL_OUTPUT_REPORT": made.outputs["report"]}
    env["SEATRIAL_INPUT_CHAMPION"] = str(store / "close/bundle")  # given by the target, not named in the job file
    done = subprocess.run(
        [sys.executable, "-m", "jobs.steps.evaluate", "--job", str(tmp_path / "job.json")],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "outputs.json").read_text())
    assert set(result["summary"]["metrics"]) == {"model", "baseline", "champion"}
    assert Path(result["summary"]["report"]).is_file()
    files = sorted((tmp_path / "report").rglob("*.*"), key=lambda file: file.stat().st_mtime_ns)
    assert files[-1].name == "verdict.json"
    assert {file.name for file in files} >= {"report.html", "metrics.json", "predictions.parquet", "roc.png", "calibration.png", "months.png"}
    content = {"metrics": read(tmp_path, "metrics.json"), "verdict": read(tmp_path, "verdict.json")}
    assert result["outputs"]["report"]["fingerprint"] == fingerprint.of(content)


def test_the_step_needs_neither_torch_nor_ray(store: Path) -> None:
    heavy = ("torch", "ray", "mlflow", "pyspark", "matplotlib.pyplot")
    code = f"import sys, jobs.steps.evaluate, jobs.steps.report; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_numbers_are_those_of_the_test_part(store: Path, tmp_path: Path) -> None:
    evaluate.work(context(store, tmp_path, baseline=str(store / "weak/bundle")))
    test = datasets.read_part(str(store / "data"), datasets.load_manifest(str(store / "data")), "test")
    expected = metrics.evaluate(test["late"].to_numpy(), factories.probability(test), threshold=bundles.load(str(store / "model/bundle")).threshold)
    verdict, numbers = read(tmp_path, "verdict.json"), read(tmp_path, "metrics.json")
    assert verdict["metrics"] == pytest.approx(expected, abs=1e-6)
    assert verdict["champion"] is True
    assert numbers["rows"] == {"test": 1000, "positive": int(test["late"].to_numpy().sum())}
    predictions = pq.read_table(tmp_path / "report/predictions.parquet")
    assert predictions.column_names == ["row_id", "late", "probability"]
    assert predictions["row_id"].equals(test["row_id"])
    assert np.abs(predictions["probability"].to_numpy() - factories.probability(test)).max() < 1e-6


def test_equal_inputs_give_an_equal_fingerprint(store: Path, tmp_path: Path) -> None:
    first, second = ((tmp_path / name) for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
    products = [evaluate.work(context(store, folder)).outputs["report"].fingerprint for folder in (first, second)]
    assert products[0] == products[1]
    other = evaluate.work(context(store, first, bundle=str(store / "weak/bundle"))).outputs["report"].fingerprint
    assert other != products[0]


def test_without_a_baseline_the_training_rate_is_the_one_to_beat(store: Path, tmp_path: Path) -> None:
    evaluation, _ = evaluate.measure(context(store, tmp_path))
    assert evaluation.contenders[1].metrics["roc_auc"].value == 0.5
    assert evaluation.verdict.champion
    assert "No baseline was given" in evaluation.notes[0]


def test_a_worse_model_stays_a_challenger(store: Path, tmp_path: Path) -> None:
    places = {"bundle": str(store / "weak/bundle"), "champion": str(store / "model/bundle")}
    summary = evaluate.work(context(store, tmp_path, **places)).summary
    assert summary["champion"] is False
    assert any("Not proven as good as the champion" in reason for reason in summary["reasons"])


def test_a_champion_of_other_columns_is_named_not_compared(store: Path, tmp_path: Path) -> None:
    champion = rewritten(store / "close/bundle", tmp_path / "old", inputs=[{"name": "colour", "kind": "category"}])
    evaluation, _ = evaluate.measure(context(store, tmp_path, champion=str(champion)))
    assert [one.role for one in evaluation.contenders] == ["model", "baseline"]
    assert not evaluation.verdict.champion
    assert "lacks its inputs colour" in evaluation.verdict.reasons[-1]


def test_a_champion_of_other_data_is_compared_with_a_warning(store: Path, tmp_path: Path) -> None:
    champion = rewritten(store / "close/bundle", tmp_path / "old", dataset="0" * 64)
    evaluation, _ = evaluate.measure(context(store, tmp_path, champion=str(champion)))
    assert [one.role for one in evaluation.contenders][-1] == "champion"
    assert any("champion was trained on another version of the data (000000000000)" in note for note in evaluation.notes)


def rewritten(source: Path, target: Path, **changes: Any) -> Path:
    """A copy of a bundle whose bundle.json says something else."""
    target.mkdir()
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    bundle = json.loads((source / bundles.BUNDLE).read_text()) | changes
    if "inputs" in changes:
        (target / bundles.VOCABULARY).write_text(json.dumps({field["name"]: ["red"] for field in changes["inputs"]}))
        bundle["files"][bundles.VOCABULARY] = fingerprint.storage.sha256(str(target / bundles.VOCABULARY))
    (target / bundles.BUNDLE).write_text(json.dumps(bundle))
    return target


def test_slices_are_their_rows_and_default_to_categories(store: Path, tmp_path: Path) -> None:
    evaluation, test = evaluate.measure(context(store, tmp_path))
    assert {one.column for one in evaluation.slices} == {"color"}
    red = next(one for one in evaluation.slices if one.value == "red")
    rows = np.array(test["color"].to_pylist(), object) == "red"
    assert red.rows == rows.sum()
    assert red.metrics["roc_auc"].value == pytest.approx(metrics.roc_auc(evaluation.labels[rows], evaluation.model.scores[rows]))
    assert sum(one.rows for one in evaluation.slices) == len(test)
    assert "(none)" in {one.value for one in evaluation.slices}


def test_slices_can_be_any_columns(store: Path, tmp_path: Path) -> None:
    evaluation, _ = evaluate.measure(context(store, tmp_path, {"slices": ["fold"]}))
    assert sorted(one.value for one in evaluation.slices) == ["0", "1", "2", "3", "4"]


def test_month_and_hour_come_from_the_time_column(store: Path, tmp_path: Path) -> None:
    evaluation, test = evaluate.measure(context(store, tmp_path, {"slices": ["month", "hour"]}))
    moments = test["moment"].to_pylist()
    october = next(one for one in evaluation.slices if one.value == "2024-10")
    noon = next(one for one in evaluation.slices if (one.column, one.value) == ("hour", "12"))
    assert october.rows == sum(moment.month == 10 for moment in moments)
    assert noon.rows == sum(moment.hour == 12 for moment in moments)


def test_a_fraction_is_sliced_by_its_whole_part(store: Path, tmp_path: Path) -> None:
    evaluation, test = evaluate.measure(context(store, tmp_path, {"slices": ["weight"]}))
    sizes = [value for value in test["weight"].to_pylist() if value is not None]
    assert next(one for one in evaluation.slices if one.value == "3").rows == sum(3 <= value < 4 for value in sizes)


def test_months_cover_every_part_and_add_up(store: Path, tmp_path: Path) -> None:
    evaluation, _ = evaluate.measure(context(store, tmp_path))
    rows = {part: sum(month.rows for month in evaluation.months if month.part == part) for part in datasets.PARTS}
    assert rows == evaluation.manifest.split.rows
    assert [month.month for month in evaluation.months if month.part == "test"] == ["2024-09", "2024-10", "2024-11", "2024-12"]
    assert all(month.gap.value == pytest.approx(month.mean - month.rate.value) for month in evaluation.months)


def test_a_large_part_is_sampled_over_its_whole_time(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "TIMELINE_ROWS", 600)
    monkeypatch.setattr(evaluate, "_BATCH", 25)
    evaluation, _ = evaluate.measure(context(store, tmp_path))
    train = [month for month in evaluation.months if month.part == "train"]
    assert sum(month.rows for month in train) == 600
    assert [month.month for month in train][:7] == [f"2024-{month:02}" for month in range(1, 8)]


def test_without_a_time_column_there_are_no_months(store: Path, tmp_path: Path) -> None:
    manifest = datasets.load_manifest(str(store / "data"))
    columns = [column.model_copy(update={"role": Role.WEIGHT}) if column.role == Role.TIME else column for column in manifest.columns]
    datasets.publish_manifest(str(tmp_path), manifest.model_copy(update={"columns": tuple(columns)}))
    for part in datasets.PARTS:
        (tmp_path / part).symlink_to(store / "data" / part)
    evaluation, _ = evaluate.measure(context(store, tmp_path, dataset=str(tmp_path)))
    assert evaluation.months == []


def test_importance_finds_what_the_model_uses(store: Path, tmp_path: Path) -> None:
    strong, _ = evaluate.measure(context(store, tmp_path))
    assert {one.feature for one in strong.importances} == {"color", "size", "weight"}
    assert all(one.mean > 0.01 for one in strong.importances)
    factories.make_bundle(tmp_path / "color", store / "data", skill=0.0)
    blind, _ = evaluate.measure(context(store, tmp_path, bundle=str(tmp_path / "color")))
    assert {one.feature: one.mean for one in blind.importances if one.feature != "color"} == {"size": 0.0, "weight": 0.0}


def test_learning_curves_survive_a_cut_line_and_a_repeated_epoch(store: Path) -> None:
    lines = [
        '{"epoch": 1, "train_loss": 0.9, "validation_loss": 0.8}',
        '{"epoch": 2, "train_loss": 0.7}',
        '{"epoch": 2, "train_loss": 0.6}',
        '{"epoch": 3, "tra',
    ]
    (store / "model/metrics.jsonl").write_text("\n".join(lines))
    assert learning_curves.read(str(store / "model/bundle")) == {"loss": {"train": [(1, 0.9), (2, 0.6)], "validation": [(1, 0.8)]}}
    assert learning_curves.read(str(store / "weak/bundle")) == {}


def test_wilson_matches_the_textbook() -> None:
    found = slices.wilson(15, 50)  # Newcombe 1998's formula: 0.1910 to 0.4375
    assert (found.low, found.high) == pytest.approx((0.1910, 0.4375), abs=1e-4)
    assert slices.wilson(0, 10).low == 0.0


@pytest.mark.parametrize(
    ("params", "where"), [({"gate": {"metric": "accuracy"}}, "params.gate.metric"), ({"bootstrap": 3}, "params.bootstrap"), ({"slice": []}, "params.slice")]
)
def test_wrong_params_name_their_place(store: Path, tmp_path: Path, params: dict[str, Any], where: str) -> None:
    with pytest.raises(SpecError) as caught:
        evaluate.measure(context(store, tmp_path, params))
    assert caught.value.where == where


def test_an_unknown_slice_lists_the_columns(store: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no column 'colour'") as caught:
        evaluate.measure(context(store, tmp_path, {"slices": ["colour"]}))
    assert "color" in caught.value.hint


def test_missing_inputs_and_changed_files_are_told_apart(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs the input 'bundle'"):
        evaluate.measure(context(store, tmp_path, bundle=""))
    other = rewritten(store / "model/bundle", tmp_path / "other", inputs=[{"name": "colour", "kind": "category"}])
    with pytest.raises(InputError, match="lacks inputs of the bundle: colour"):
        evaluate.measure(context(store, tmp_path, bundle=str(other)))
    changed = rewritten(store / "model/bundle", tmp_path / "changed")
    (changed / bundles.MODEL).write_bytes(b"")
    with pytest.raises(IntegrityError):
        evaluate.measure(context(store, tmp_path, bundle=str(changed)))


def test_measuring_is_quick(store: Path, tmp_path: Path) -> None:
    started = time.process_time()
    evaluate.work(context(store, tmp_path))
    assert time.process_time() - started < 10  # 2 s alone on 2 cores; the limit only catches a lost order of magnitude
