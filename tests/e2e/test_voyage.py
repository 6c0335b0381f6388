"""The main job: real flights to answered predictions, and everything that the README then says one can do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from jobs.contracts import dataset as datasets
from jobs.scoring import metrics
from jobs.scoring.scorer import Scorer
from tests.e2e.conftest import ROOT, Place, free_port

ROWS = {"train": 273_281, "validation": 26_901, "test": 27_164}  # flights of 2013 with a label, by the time split


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("voyage")
    shutil.copytree(ROOT / "examples" / "flights", folder / "flights", ignore=shutil.ignore_patterns("__pycache__", ".seatrial"))
    place = Place(folder, free_port())
    first = place.run_file("flights/pipeline.yaml", "--keep")
    assert first.returncode == 0, first.stderr
    (folder / "first.txt").write_text(first.stdout)
    yield place
    place.run("serve", "down")


def test_the_summary_says_what_happened(place: Place) -> None:
    text = (place.folder / "first.txt").read_text()
    for expected in ("327,346 rows", "9,430 no_label", "roc_auc", "champion", "report.html", place.url, "seatrial models lineage flights"):
        assert expected in text


def test_the_dataset_is_whole(place: Place) -> None:
    shown = place.json("data", "show", "flights")
    assert shown["split"]["rows"] == ROWS
    assert shown["rejected"]["no_label"] == 9_430
    assert place.json("data", "verify", "flights")["verified"]


def test_the_live_service_answers_as_offline(place: Place) -> None:
    summary = place.newest_run()["steps"]["serve"]["summary"]
    assert summary["rows_compared"] >= 5_000
    assert summary["max_difference"] <= 1e-5


def test_a_row_is_answered_with_its_origin(place: Place) -> None:
    answer, headers = place.post("/predict", place.get("/example"))
    assert 0 < answer["predictions"][0]["probability"] < 1
    version = place.json("models", "show", "flights")
    assert (answer["model_version"], answer["bundle"]) == (version["version"], version["fingerprint"])
    assert {name.lower(): value for name, value in headers.items()}["x-seatrial-bundle"] == version["fingerprint"]


def test_lineage_leads_from_the_answer_to_the_raw_files(place: Place) -> None:
    links = place.json("models", "lineage", "flights")
    assert [link["kind"] for link in links] == ["deployment", "version", "bundle", "run", "dataset", "raw files"]
    assert all(link["verified"] in (True, None) for link in links)
    assert any("flights.csv.zip" in detail for detail in links[-1]["details"])


def test_a_second_run_reuses_what_has_not_changed(place: Place) -> None:
    again = place.run_file("flights/pipeline.yaml")
    assert again.returncode == 0, again.stderr
    record = place.newest_run()
    assert [name for name, step in record["steps"].items() if not step["reused"]] == ["serve"]
    assert record["model_version"] == "1"
    assert [version["version"] for version in place.json("models", "list")] == ["1"]
    assert place.json("serve", "status")["ready"]


def _test_part(place: Place) -> tuple[str, datasets.Manifest, pa.Table]:
    uri = place.newest_run()["steps"]["features"]["outputs"]["dataset"]["uri"]
    manifest = datasets.load_manifest(uri)
    return uri, manifest, datasets.read_part(uri, manifest, "test")


def test_the_model_is_as_good_as_gradient_boosting_on_the_same_features(place: Place) -> None:
    """Within 0.01 of ROC AUC, above logistic regression, and calibrated no worse than the reference plus 0.01."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    uri, manifest, test = _test_part(place)
    steps = place.newest_run()["steps"]
    network, baseline = (Scorer(steps[name]["outputs"]["bundle"]["uri"]) for name in ("train", "baseline"))
    train = datasets.read_part(uri, manifest, "train")

    def matrix(table: pa.Table) -> np.ndarray:
        return np.hstack(network.encoder.encode(dict(zip(table.column_names, table.columns, strict=True)), table.num_rows))

    label = manifest.label.name
    reference = HistGradientBoostingClassifier(random_state=0, categorical_features=list(range(len(network.encoder.categorical))))
    reference.fit(matrix(train), train[label].to_numpy())
    labels = test[label].to_numpy()
    theirs, ours, linear = reference.predict_proba(matrix(test))[:, 1], network.score(test), baseline.score(test)
    assert metrics.roc_auc(labels, ours) >= metrics.roc_auc(labels, theirs) - 0.01
    assert metrics.roc_auc(labels, ours) > metrics.roc_auc(labels, linear)
    assert metrics.calibration_error(labels, ours) <= metrics.calibration_error(labels, theirs) + 0.01


def test_the_commands_of_the_readme_work(place: Place) -> None:
    for command in ("data list", "data show flights", "data verify flights", "models list", "models show flights", "models lineage flights", "serve status"):
        answer = place.run(*command.split())
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.strip()


def test_a_tampered_bundle_breaks_the_chain_visibly(place: Place, tmp_path: Path) -> None:
    version = place.json("models", "show", "flights")
    vocabulary = Path(version["uri"]) / "vocab.json"
    original = vocabulary.read_bytes()
    try:
        vocabulary.write_bytes(original + b" ")
        links = {link["kind"]: link["verified"] for link in place.json("models", "lineage", "flights")}
        assert links["bundle"] is False
    finally:
        vocabulary.write_bytes(original)


def test_down_leaves_no_process(place: Place) -> None:
    assert place.run("serve", "down").stdout.strip() == "stopped"
    assert place.processes() == []
    assert not (place.folder / ".seatrial" / "service.json").exists()
