"""Labels that arrive late, and the quality they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from jobs.contracts.errors import InputError
from jobs.scoring import metrics
from serve.model import LoadedModel
from serve.rollout.answered import Batch
from serve.watching import late_labels, quality
from serve.watching.prediction_log import PredictionLog
from serve.watching.rows import model_folder
from serve.watching.settings import LogSettings
from tests.serve.conftest import Published
from tests.serve.watching.conftest import batch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model_folder(tmp_path / "predictions", "parcels")


def log_of(folder: Path, *batches: tuple[Batch, str]) -> None:
    log = PredictionLog(LogSettings(folder=str(folder.parent)), "parcels", "a")
    for given, role in batches:
        log.see(given, role)
    log.close()


def labels_of(given: Batch, seed: int = 0) -> pa.Table:
    hits = (np.random.default_rng(seed).random(given.rows) < given.probabilities).astype(np.int64)
    return pa.table({"request_id": given.ids, "label": hits})


def test_late_labels_show_the_quality_by_version(model: LoadedModel, published: Published, folder: Path, tmp_path: Path) -> None:
    weak, given = LoadedModel(published.version(2)), batch(model, 900)
    shadow = Batch(weak, given.seconds, given.failed, given.ids, given.positions, given.columns, weak.scorer.score(given.columns, given.rows))
    log_of(folder, (given, "champion"), (shadow, "shadow"))
    labels = labels_of(given).slice(0, 600)
    pacsv.write_csv(labels, tmp_path / "labels.csv")
    assert late_labels.add(folder, tmp_path / "labels.csv") == (600, True)
    second, first = quality.measure(folder, {"1": model.bundle.threshold, "2": weak.bundle.threshold})
    assert (first.version, first.trial, first.rows, first.labelled) == ("1", False, 900, 600)
    assert (second.version, second.trial, second.labelled) == ("2", True, 600)
    known = metrics.evaluate(labels["label"].to_numpy(), given.probabilities[:600], threshold=model.bundle.threshold)
    assert {name: found.value for name, found in first.metrics.items()} == pytest.approx(known)
    assert first.metrics["roc_auc"].value > second.metrics["roc_auc"].value


def test_the_same_file_again_changes_nothing_and_the_last_label_holds(folder: Path, tmp_path: Path) -> None:
    for name, values in (("a", [0, 1]), ("b", [1, 1])):
        pq.write_table(pa.table({"request_id": ["x", "x"], "row": [0, 1], "label": values}), tmp_path / f"{name}.parquet")
        assert late_labels.add(folder, tmp_path / f"{name}.parquet") == (2, True)
    assert late_labels.add(folder, tmp_path / "a.parquet") == (2, False)
    assert sorted(late_labels.read(folder).to_pylist(), key=lambda each: each["row"]) == [
        {"request_id": "x", "row": 0, "label": 1},
        {"request_id": "x", "row": 1, "label": 1},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("request_id,outcome\na,1\n", "'label' is missing"),
        ("id,label\na,1\n", "'request_id' is missing"),
        ("request_id,label\na,2\n", "must be 0 or 1"),
        ("request_id,label\na,\n", "must be 0 or 1"),
        ("request_id,label\na,late\n", "wrong type"),
        ("request_id,label\n", "0 or 1|wrong type"),
        ("request_id,label\na,1,1\n", "cannot be read"),
    ],
)
def test_a_file_that_holds_no_labels_is_refused(folder: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        late_labels.add(folder, tmp_path / "labels.csv")
    assert not (folder / "labels").exists()


def test_a_request_id_of_digits_is_a_text(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("request_id,label\n007,1\n")
    late_labels.add(folder, tmp_path / "labels.csv")
    assert late_labels.read(folder)["request_id"].to_pylist() == ["007"]


def test_too_few_labels_give_no_metric(model: LoadedModel, folder: Path, tmp_path: Path) -> None:
    given = batch(model, 60)
    log_of(folder, (given, "champion"))
    assert [(each.labelled, each.metrics) for each in quality.measure(folder, {})] == [(0, {})]
    pacsv.write_csv(labels_of(given).slice(0, quality.ENOUGH - 1), tmp_path / "few.csv")
    late_labels.add(folder, tmp_path / "few.csv")
    assert [(each.labelled, each.metrics) for each in quality.measure(folder, {})] == [(quality.ENOUGH - 1, {})]
