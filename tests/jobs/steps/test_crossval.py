"""Cross-validation: folds that keep days apart and fit nothing on what tests, numbers against known ones, and a resumed run on Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.contracts import dataset as datasets
from jobs.contracts.errors import InputError, SpecError
from jobs.scoring import metrics
from jobs.steps import crossval, crossval_data, crossval_fold, crossval_numbers
from jobs.steps.crossval_fold import Result
from jobs.steps.crossval_settings import MODEL, OTHER, Settings, Unit, units
from tests import factories
from tests.jobs.steps import searching, training

PARAMS: dict[str, Any] = {"epochs": 2, "folds": 4, "compare": {"entry": "tiny.model:baseline"}, "learning_curve": [0.2], "curve_folds": 2}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    factories.make_dataset(folder, rows=3000)
    return folder


def test_a_folds_dataset_is_whole_verified_and_described_by_its_own_training_rows(dataset: Path, tmp_path: Path) -> None:
    manifest = crossval_data.write(str(dataset), ("train", "validation"), 1, 5, 1.0, tmp_path / "fold")
    assert datasets.verify(str(tmp_path / "fold")) == manifest
    parts = {part: datasets.read_part(str(tmp_path / "fold"), manifest, part) for part in datasets.PARTS}
    assert {part: set(table["fold"].to_pylist()) for part, table in parts.items()} == {"train": {0, 3, 4}, "validation": {2}, "test": {1}}
    assert manifest.split.rows == {part: len(table) for part, table in parts.items()}
    assert sum(manifest.split.rows.values()) == 3000 * 0.75  # the dataset's own test part is nobody's
    sizes = parts["train"]["size"].drop_null().to_numpy()
    found = next(column for column in manifest.columns if column.name == "size").statistics
    assert found is not None
    assert (found.mean, found.count) == (pytest.approx(sizes.mean()), len(parts["train"]))
    assert found.quantiles["0.25"] == pytest.approx(np.quantile(sizes, 0.25))
    other = crossval_data.write(str(dataset), ("train", "validation"), 2, 5, 1.0, tmp_path / "other")
    assert other.fingerprint != manifest.fingerprint


def test_fewer_folds_keep_together_what_was_together_and_every_row_tests_once(dataset: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    for fold in range(3):
        manifest = crossval_data.write(str(dataset), ("train", "validation"), fold, 3, 1.0, tmp_path / str(fold))
        test = datasets.read_part(str(tmp_path / str(fold)), manifest, "test")
        assert {each % 3 for each in test["fold"].to_pylist()} == {fold}
        seen += test["row_id"].to_pylist()
    assert sorted(seen) == list(range(2250))


def test_a_share_of_the_rows_is_spread_over_all_of_them(dataset: Path, tmp_path: Path) -> None:
    manifest = crossval_data.write(str(dataset), ("train", "validation"), 0, 5, 0.2, tmp_path / "fold")
    rows = datasets.read_part(str(tmp_path / "fold"), manifest, "train")["row_id"].to_numpy()
    whole = crossval_data.write(str(dataset), ("train", "validation"), 0, 5, 1.0, tmp_path / "whole").split.rows
    assert abs(len(rows) - 0.2 * whole["train"]) <= 2
    assert np.abs(np.histogram(rows, bins=10, range=(0, 2250))[0] - len(rows) / 10).max() <= 3
    assert manifest.split.rows["test"] == whole["test"]


def test_units_come_in_pairs_and_the_learning_curve_last() -> None:
    settings = Settings.of(training.job(params={**PARAMS, "seed": 3}))
    assert settings.fixed == {"epochs": 2, "seed": 3}
    names = [unit.name for unit in units(settings, 4)]
    assert names[:4] == ["model-00", "other-00", "model-01", "other-01"]
    assert names[8:] == ["model-00-0.2", "model-01-0.2"]


@pytest.mark.parametrize(
    ("params", "where"),
    [({"parts": ["all"]}, "params.parts"), ({"learning_curve": [1.5]}, "params.learning_curve"), ({"compare": {}}, "params.compare.entry")],
)
def test_wrong_params_name_their_place(params: dict[str, Any], where: str) -> None:
    with pytest.raises(SpecError) as caught:
        Settings.of(training.job(params=params))
    assert caught.value.where == where


def test_folds_that_the_dataset_cannot_make_are_refused(dataset: Path, tmp_path: Path) -> None:
    manifest = datasets.load_manifest(str(dataset))
    assert Settings().number(manifest) == 5
    for folds in (2, 6):
        with pytest.raises(InputError, match=f"{folds} folds cannot be made of a dataset with 5"):
            Settings(folds=folds).number(manifest)
    with pytest.raises(InputError, match="no column 'fold'"):
        Settings().number(manifest.model_copy(update={"columns": manifest.features}))
    with pytest.raises(InputError, match="fold 7 of 10 leaves no rows for the validation part"):
        crossval_data.write(str(dataset), ("train",), 7, 10, 1.0, tmp_path / "fold")


@pytest.mark.parametrize(("freedom", "expected"), [(1, 12.7062), (2, 4.3027), (4, 2.7764), (9, 2.2622), (200, 1.9719)])
def test_students_t_is_the_tables(freedom: int, expected: float) -> None:
    assert crossval_numbers.quantile_of_t(freedom) == pytest.approx(expected, abs=2e-4)


def result(role: str, fold: int, value: float, share: float = 1.0, rows: int = 800) -> Result:
    values = {"roc_auc": value, "brier": 1 - value}
    return Result(job="f", role=role, fold=fold, share=share, metrics=values, train_rows=rows, test_rows=100, epochs=1, seconds=1.0)


def test_the_interval_counts_that_folds_share_their_rows() -> None:
    values = [0.70, 0.72, 0.71, 0.75, 0.69]
    found = crossval_numbers.mean([result(MODEL, fold, value) for fold, value in enumerate(values)], "roc_auc")
    reach = 2.7764 * np.std(values, ddof=1) * np.sqrt(1 / 5 + 1 / 8)
    assert found.value == pytest.approx(np.mean(values))
    assert (found.low, found.high) == (pytest.approx(found.value - reach, abs=1e-5), pytest.approx(found.value + reach, abs=1e-5))
    alone = crossval_numbers.mean([result(MODEL, 0, 0.7)], "roc_auc")
    assert (alone.low, alone.high) == (0.7, 0.7)


def test_pairs_see_a_difference_that_the_folds_spread_would_hide() -> None:
    spread = [0.5, 0.9, 0.6, 0.8, 0.7]
    results = [result(OTHER, fold, value) for fold, value in enumerate(spread)]
    results += [result(MODEL, fold, value + 0.02 + 0.001 * fold) for fold, value in enumerate(spread)]
    for metric in ("roc_auc", "brier"):
        found = crossval_numbers.compare(results, metric)
        assert found is not None
        assert (found.wins, found.folds, found.verdict(metric)) == (5, 5, "better")
    swapped = [each.model_copy(update={"role": OTHER if each.role == MODEL else MODEL}) for each in results]
    assert crossval_numbers.compare(swapped, "brier").verdict("brier") == "worse"  # type: ignore[union-attr]
    noise = [result(MODEL, fold, value + (0.02 if fold % 2 else -0.02)) for fold, value in enumerate(spread)] + results[:5]
    assert crossval_numbers.compare(noise, "roc_auc").verdict("roc_auc") == "no difference shown"  # type: ignore[union-attr]
    assert crossval_numbers.compare(results[:5], "roc_auc") is None


def test_a_learning_curve_compares_the_same_folds() -> None:
    results = [result(MODEL, fold, 0.6 + 0.1 * fold) for fold in range(4)] + [result(MODEL, fold, 0.5 + 0.1 * fold, 0.2, 160) for fold in range(2)]
    points = crossval_numbers.learning_curve(results, "roc_auc")
    assert [(point.rows, round(point.value, 3), round(point.low, 3)) for point in points] == [(160, 0.55, 0.5), (800, 0.65, 0.6)]
    assert crossval_numbers.learning_curve(results[:4], "roc_auc") == []


def test_a_killed_cross_validation_trains_only_what_is_missing_and_says_what_one_process_says(dataset: Path, tmp_path: Path) -> None:
    context = searching.context(tmp_path / "ray", dataset, "cross-validate", PARAMS)
    with searching.started(context, "crossval") as process:
        training.wait_for("two units", lambda: len(list(context.checkpoints.glob("*.json"))) >= 2, process)
        process.kill()
    kept = {path.name: path.stat().st_mtime_ns for path in context.checkpoints.glob("*.json")}
    outputs = searching.run(context, "crossval")
    assert {name: (context.checkpoints / name).stat().st_mtime_ns for name in kept} == kept
    here = searching.context(tmp_path / "here", dataset, "cross-validate", PARAMS, resources={"workers": 0, "cpu": 1})
    alone = crossval.work(here)
    assert alone.outputs["made"].fingerprint == outputs["outputs"]["made"]["fingerprint"]
    made = tmp_path / "ray/made"
    files = sorted(made.rglob("*.*"), key=lambda path: path.stat().st_mtime_ns)
    assert files[-1].name == "crossval.json"
    assert {path.name for path in files} >= {"report.html", "card.md", "folds.parquet", "folds.png", "data.png"}
    assert_numbers_are_those_of_the_held_out_rows(dataset, made)


def assert_numbers_are_those_of_the_held_out_rows(dataset: Path, made: Path) -> None:
    numbers, rows = json.loads((made / "crossval.json").read_text()), pq.read_table(made / "folds.parquet")
    for role in (MODEL, OTHER):
        chosen = rows.filter(np.array(rows["role"].to_pylist()) == role)
        assert sorted(chosen["row_id"].to_pylist()) == list(range(2250)), "each row tests once"
        assert len(numbers["models"][role]["folds"]) == 4
        of = chosen["fold"].to_numpy() == 2
        auc = metrics.roc_auc(chosen["label"].to_numpy()[of], chosen["score"].to_numpy()[of])
        assert numbers["models"][role]["folds"][2]["roc_auc"] == pytest.approx(auc, abs=1e-6)
    assert numbers["comparison"]["roc_auc"]["folds"] == 4
    assert [point["share"] for point in numbers["learning_curve"]["roc_auc"]] == [0.2, 1.0]
    card = (made / "card.md").read_text()
    assert "| ROC AUC | " in card
    assert datasets.load_manifest(str(dataset)).fingerprint[:16] in card
    assert "tiny.model:baseline" in (made / "report.html").read_text()


def test_results_of_another_job_or_without_their_rows_do_not_count(tmp_path: Path) -> None:
    unit = Unit(MODEL, 0)
    crossval_fold.save(tmp_path, unit, result(MODEL, 0, 0.7), b"rows")
    assert crossval_fold.load(tmp_path, unit, "f") == result(MODEL, 0, 0.7)
    assert crossval_fold.load(tmp_path, unit, "g") is None
    (tmp_path / "model-00.parquet").unlink()
    assert crossval_fold.load(tmp_path, unit, "f") is None
