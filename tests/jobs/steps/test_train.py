"""The train step in its own process, without Ray: from a dataset to a bundle, wrong requests, a kill and a resume."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from jobs.contracts import bundle as bundles
from jobs.contracts import dataset as datasets
from jobs.contracts.entrypoint import run_step
from jobs.contracts.errors import IntegrityError, RequestError
from jobs.contracts.job import StepResult
from jobs.scoring import metrics
from jobs.scoring.scorer import Scorer
from jobs.steps import checkpoints
from jobs.steps.train import train
from tests import factories
from tests.jobs.steps import training

LONG = {"seed": 3, "batch": 16, "epochs_at_most": 12}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    factories.make_dataset(folder, rows=6000)
    return folder


def test_bundle_scores_like_the_truth_it_was_trained_on(dataset: Path, tmp_path: Path) -> None:
    context = training.context(tmp_path, dataset)
    result = train(context)
    scorer = Scorer(context.outputs["bundle"])
    test = datasets.read_part(str(dataset), datasets.load_manifest(str(dataset)), "test")
    labels = test["late"].to_numpy()
    truth = metrics.roc_auc(labels, factories.probability(test))
    assert metrics.roc_auc(labels, scorer.score(test)) > truth - 0.02
    assert np.abs(scorer.score(test) - factories.probability(test)).mean() < 0.06
    assert result.outputs["bundle"].fingerprint == scorer.fingerprint
    assert result.summary["epochs"] == 4
    assert result.summary["validation"]["roc_auc"]["low"] < result.summary["validation"]["roc_auc"]["value"]


def test_bundle_describes_itself(dataset: Path, tmp_path: Path) -> None:
    context = training.context(tmp_path, dataset)
    train(context)
    bundle, manifest = bundles.load(context.outputs["bundle"]), datasets.load_manifest(str(dataset))
    assert (bundle.inputs_of("category"), bundle.inputs_of("number")) == (("color",), ("size", "weight"))
    assert {field.name: field.unit for field in bundle.inputs} == {"color": "", "size": "cm", "weight": "kg"}
    assert (bundle.dataset, bundle.run, bundle.name) == (manifest.fingerprint, "r1", "tiny")
    assert bundle.spec["params"] == {"seed": 3, "batch": 128}
    example = bundles.load_example(context.outputs["bundle"])
    assert example["color"] in factories.COLORS
    assert example["size"] is not None
    assert example["weight"] is not None
    assert 0 < bundle.threshold < 1


def test_threshold_and_metrics_are_those_of_the_published_file(dataset: Path, tmp_path: Path) -> None:
    context = training.context(tmp_path, dataset)
    train(context)
    bundle = bundles.load(context.outputs["bundle"])
    validation = datasets.read_part(str(dataset), datasets.load_manifest(str(dataset)), "validation")
    labels, scores = validation["late"].to_numpy(), Scorer(context.outputs["bundle"]).score(validation)
    assert bundle.threshold == metrics.best_f1_threshold(labels, scores)
    assert bundle.metrics["roc_auc"].value == pytest.approx(metrics.roc_auc(labels, scores), abs=1e-12)


def test_equal_seeds_give_equal_weights_and_unequal_seeds_do_not(dataset: Path, tmp_path: Path) -> None:
    seeds = {"first": 3, "again": 3, "other": 4}
    contexts = {name: training.context(tmp_path / name, dataset, params={"seed": seed, "batch": 128}) for name, seed in seeds.items()}
    fingerprints = {name: train(context).outputs["bundle"].fingerprint for name, context in contexts.items()}
    assert training.weights(contexts["first"]) == training.weights(contexts["again"]) != training.weights(contexts["other"])
    assert fingerprints["first"] == fingerprints["again"] != fingerprints["other"]


def test_every_epoch_is_reported_with_its_metrics(dataset: Path, tmp_path: Path) -> None:
    context = training.context(tmp_path, dataset)
    train(context)
    assert training.epochs(context) == [1, 2, 3, 4]
    lines = [line for line in training.metrics(context) if "epoch" in line]
    assert lines[-1]["validation_loss"] < lines[0]["validation_loss"]
    assert all({"train_loss", "validation_auc", "rows_per_second", "message"} <= line.keys() for line in lines)
    assert [line["fraction"] for line in lines] == [0.25, 0.5, 0.75, 1.0]


def test_training_stops_when_validation_no_longer_improves(dataset: Path, tmp_path: Path) -> None:
    params = {"seed": 3, "batch": 128, "epochs_at_most": 3, "epochs": 40, "learning_rate": 0.3, "hidden": 256}
    result = train(training.context(tmp_path, dataset, params=params))
    assert result.summary["epochs"] == result.summary["best_epoch"] + 3 < 40


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"params": {"hiden": 3}}, "hiden"),
        ({"params": {"hidden": "many"}}, "hidden"),
        ({"params": {"batch": 100}, "resources": {"workers": 3}}, "100"),
        ({"params": {"batch": 0}}, "batch"),
        ({"params": {"seed": "x"}}, "seed"),
        ({"entry": "tiny.model:nothing"}, "nothing"),
        ({"entry": "tiny.absent:build"}, "tiny.absent"),
        ({"entry": "tiny.data:write"}, "tiny.data"),
        ({"resources": {"workers": 0, "gpu": 1}}, "GPU"),
    ],
)
def test_wrong_request_is_named(dataset: Path, tmp_path: Path, changes: dict[str, object], word: str) -> None:
    with pytest.raises(RequestError, match=word) as caught:
        train(training.context(tmp_path, dataset, **changes))
    assert caught.value.exit_code == 2
    assert caught.value.hint
    assert not (tmp_path / "bundle").exists()


def test_tampered_dataset_is_refused(tmp_path: Path) -> None:
    factories.make_dataset(tmp_path / "data")
    part = tmp_path / "data" / "train" / "part-0.parquet"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    with pytest.raises(IntegrityError, match="SHA-256"):
        train(training.context(tmp_path / "step", tmp_path / "data"))


def test_command_writes_outputs_or_error(dataset: Path, tmp_path: Path) -> None:
    good, bad = training.context(tmp_path / "good", dataset), training.context(tmp_path / "bad", dataset, params={"hiden": 3})
    assert training.run(good) == 0
    assert StepResult.model_validate_json((good.folder / "outputs.json").read_text()).outputs["bundle"].uri == good.outputs["bundle"]
    assert training.run(bad) == 2
    assert "hiden" in training.error(bad)["what"]
    assert not (bad.folder / "outputs.json").exists()


def test_killed_step_resumes_and_ends_with_the_same_weights(dataset: Path, tmp_path: Path) -> None:
    whole, killed = (training.context(tmp_path / name, dataset, params=LONG) for name in ("whole", "killed"))
    train(whole)
    with training.started(killed) as process:
        training.wait_for("third epoch", lambda: len(training.epochs(killed)) >= 3, process)
        process.kill()
    before = max(training.epochs(killed))
    assert 3 <= before < 12
    assert not (killed.folder / "bundle").exists()
    assert training.run(killed) == 0
    assert any(message.startswith("resuming after epoch") for message in training.messages(killed))
    assert training.epochs(killed).count(1) == 1, "it started from scratch"
    assert training.weights(killed) == training.weights(whole)


def test_damaged_newest_checkpoint_falls_back_to_the_one_before(dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole, damaged = (training.context(tmp_path / name, dataset, params=LONG) for name in ("whole", "damaged"))
    train(whole)
    with training.started(damaged) as process:
        training.wait_for("third epoch", lambda: len(training.epochs(damaged)) >= 3, process)
        process.kill()
    newest = sorted(damaged.checkpoints.iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    train(damaged)
    assert newest.name in caplog.text
    assert "earlier one" in caplog.text
    assert training.weights(damaged) == training.weights(whole)


def test_finished_training_is_not_repeated_when_only_the_export_was_lost(dataset: Path, tmp_path: Path) -> None:
    context = training.context(tmp_path, dataset)
    train(context)
    (tmp_path / "bundle" / "bundle.json").unlink()
    train(context)
    assert training.epochs(context) == [1, 2, 3, 4]
    assert bundles.load(context.outputs["bundle"])


def test_another_jobs_checkpoints_are_not_taken_over(dataset: Path, tmp_path: Path) -> None:
    train(training.context(tmp_path, dataset))
    train(training.context(tmp_path, dataset, fingerprint="f2", params={"seed": 3, "batch": 128, "hidden": 8}))
    newest = checkpoints.newest(tmp_path / "checkpoints", "f2")
    assert newest is not None
    assert newest.progress.epoch == 4


def test_interrupt_ends_with_130_and_publishes_nothing(dataset: Path, tmp_path: Path) -> None:
    context = training.context(tmp_path, dataset, params=LONG)
    with training.started(context) as process:
        training.wait_for("first epoch", lambda: training.epochs(context), process)
        process.terminate()
        assert process.wait(timeout=30) == 130
    assert not (context.folder / "bundle").exists()
    assert not (context.folder / "outputs.json").exists()


def test_run_step_records_the_error_of_a_wrong_job(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = training.context(tmp_path, dataset, inputs=())
    (tmp_path / "job.json").write_text(context.job.model_dump_json())
    monkeypatch.setenv("SEATRIAL_OUTPUT_BUNDLE", str(tmp_path / "bundle"))
    assert run_step(train, ["--job", str(tmp_path / "job.json")]) == 2
    assert "one input" in json.loads((tmp_path / "error.json").read_text())["what"]
