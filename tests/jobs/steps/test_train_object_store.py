"""The train step with its folder, its dataset and its bundle in an object store: a retry goes on, on a machine that knows nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs.contracts import storage
from jobs.contracts.job import Context, StepResult
from jobs.scoring.scorer import Scorer
from jobs.steps import learning_curves
from jobs.steps.train import train
from tests import factories, object_store
from tests.jobs.steps import training

LONG = {"seed": 3, "batch": 16, "epochs_at_most": 16}  # some seconds, and with them several looks of the mirror


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    factories.make_dataset(folder, rows=6000)
    return folder


@pytest.fixture(scope="module")
def bucket(local: Path) -> Iterator[str]:
    """A bucket with the dataset below ``data/``."""
    with object_store.bucket() as uri:
        storage.copy_folder(str(local), f"{uri}/data", last="manifest.json")
        yield uri


def remote(bucket: str, step: str, folder: Path, **changes: Any) -> tuple[Context, dict[str, str]]:
    """A context whose places are all in the bucket, and the variables that say so; ``folder`` is the machine's own disk."""
    (folder / "tmp").mkdir(parents=True)
    context = replace(training.context(folder, Path("unused"), **changes), inputs={"dataset": f"{bucket}/data"}, outputs={"bundle": f"{bucket}/{step}/bundle"})
    return context, {"SEATRIAL_STEP_DIR": f"{bucket}/{step}", "TMPDIR": str(folder / "tmp")}


def lines(step: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in storage.read_bytes(f"{step}/metrics.jsonl").splitlines()]


def test_killed_step_resumes_on_another_machine_and_ends_with_the_same_weights(local: Path, bucket: str, tmp_path: Path) -> None:
    whole = training.context(tmp_path / "whole", local, params=LONG)
    train(whole)
    step = f"{bucket}/killed"
    first, variables = remote(bucket, "killed", tmp_path / "first", params=LONG)
    with training.started(first, **variables) as process:
        training.wait_for("first checkpoint", lambda: object_store.names(f"{step}/checkpoints"), process)
        process.kill()
    assert not storage.exists(f"{step}/outputs.json")
    second, variables = remote(bucket, "killed", tmp_path / "second", params=LONG)
    assert training.run(second, **variables) == 0, (second.folder / "log.txt").read_text()
    messages = [line.get("message", "") for line in lines(step)]
    assert any(message.startswith("resuming after epoch") for message in messages)
    assert [line["epoch"] for line in lines(step) if "epoch" in line].count(1) == 1, "it started from scratch, or the metrics of the first machine are lost"
    assert training.weights(second) == training.weights(whole)
    assert StepResult.model_validate_json(storage.read_bytes(f"{step}/outputs.json")).outputs["bundle"].uri == f"{step}/bundle"
    assert len(object_store.names(f"{step}/checkpoints")) <= 3, "old checkpoints were not pruned in the store"
    assert list((tmp_path / "second" / "tmp").glob("seatrial-*")) == [], "the scratch folder stayed behind"


def test_ray_workers_and_their_driver_write_one_history(bucket: str, tmp_path: Path) -> None:
    changes = {"params": {"seed": 3, "batch": 128, "epochs": 2}, "resources": {"workers": 2}}
    context, variables = remote(bucket, "ray", tmp_path, **changes)
    # Not in the test's folder: Ray makes sockets below TMPDIR, whose paths are limited to 107 characters.
    assert training.run(context, **(variables | {"TMPDIR": "/tmp"})) == 0, (context.folder / "log.txt").read_text()
    history = [line.get("message", "") for line in lines(f"{bucket}/ray")]
    assert [message.partition(":")[0] for message in history] == ["starting", "epoch 1/2", "epoch 2/2", "exporting the best epoch's model"]
    assert len(object_store.names(f"{bucket}/ray/checkpoints")) == 2
    assert not storage.exists(f"{bucket}/ray/ray"), "Ray Train's own notes are in the store"
    scorer = Scorer(context.outputs["bundle"])
    assert scorer.score(factories.make_rows(50)).shape == (50,)
    assert [epoch for epoch, _ in learning_curves.read(context.outputs["bundle"])["loss"]["train"]] == [1, 2]
