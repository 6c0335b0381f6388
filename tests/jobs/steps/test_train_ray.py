"""Training on Ray: two worker processes, a worker killed, the driver killed, and the shared Ray's own life."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jobs.contracts import bundle as bundles
from jobs.contracts import dataset as datasets
from jobs.contracts.entrypoint import LIFELINE
from jobs.scoring import metrics
from jobs.scoring.scorer import Scorer
from tests import factories
from tests.jobs.steps import training

TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
JOB = {"params": {"seed": 3, "batch": 64, "epochs_at_most": 8}, "resources": {"workers": 2}, "retries": 1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    factories.make_dataset(folder, rows=20_000)
    return folder


def start_head(ready: Path, **environment: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "jobs.steps.ray_head", "--ready", str(ready), "--cpus", "3"]
    return subprocess.Popen(argv, env={**os.environ, **TOKEN, "PYTHONPATH": str(training.REPOSITORY), **environment})


@pytest.fixture(scope="module")
def ray_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    ready = tmp_path_factory.mktemp("ray") / "ray.json"
    head = start_head(ready)
    training.wait_for("Ray", ready.exists, head)
    yield json.loads(ready.read_text())["address"]
    head.terminate()
    assert head.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def uninterrupted(dataset: Path, ray_address: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Weights of a run that nothing disturbed."""
    context = training.context(tmp_path_factory.mktemp("whole"), dataset, **JOB)
    assert training.run(context, ray_address=ray_address, **TOKEN) == 0
    assert training.epochs(context) == list(range(1, 9))
    return training.weights(context)


def test_two_workers_learn_what_one_process_learns(dataset: Path, ray_address: str, tmp_path: Path) -> None:
    context = training.context(tmp_path, dataset, params={"seed": 3, "batch": 128}, resources={"workers": 2})
    assert training.run(context, ray_address=ray_address, **TOKEN) == 0
    test = datasets.read_part(str(dataset), datasets.load_manifest(str(dataset)), "test")
    labels, truth = test["late"].to_numpy(), factories.probability(test)
    scores = Scorer(context.outputs["bundle"]).score(test)
    assert metrics.roc_auc(labels, scores) > metrics.roc_auc(labels, truth) - 0.01
    assert np.abs(scores - truth).mean() < 0.05
    assert not (tmp_path / "ray").exists(), "Ray Train's own notes stayed behind"


def test_killed_worker_is_replaced_and_the_weights_are_the_same(dataset: Path, ray_address: str, uninterrupted: str, tmp_path: Path) -> None:
    context = training.context(tmp_path, dataset, **JOB)
    with training.started(context, ray_address=ray_address, **TOKEN) as process:
        training.wait_for("third epoch", lambda: len(training.epochs(context)) >= 3, process)
        workers = training.train_workers(os.getpid())
        assert len(workers) == 2
        training.kill(workers[0])
        assert process.wait(timeout=training.LIMIT) == 0
    assert any(message.startswith("resuming after epoch") for message in training.messages(context))
    assert training.epochs(context).count(1) == 1, "it started from scratch"
    assert training.weights(context) == uninterrupted


def test_killed_driver_resumes_when_started_again_and_the_weights_are_the_same(dataset: Path, ray_address: str, uninterrupted: str, tmp_path: Path) -> None:
    context = training.context(tmp_path, dataset, **JOB)
    with training.started(context, ray_address=ray_address, **TOKEN) as process:
        training.wait_for("third epoch", lambda: len(training.epochs(context)) >= 3, process)
        process.kill()
    training.wait_for("end of the workers", lambda: not training.train_workers(os.getpid()))
    assert not (tmp_path / "bundle").exists()
    assert training.run(context, ray_address=ray_address, **TOKEN) == 0
    assert any(message.startswith("resuming after epoch") for message in training.messages(context))
    assert training.epochs(context).count(1) == 1, "it started from scratch"
    assert training.weights(context) == uninterrupted


def test_worker_lost_more_often_than_retried_fails_the_step_and_keeps_the_checkpoints(dataset: Path, ray_address: str, tmp_path: Path) -> None:
    context = training.context(tmp_path, dataset, **{**JOB, "retries": 0})
    with training.started(context, ray_address=ray_address, **TOKEN) as process:
        training.wait_for("first epoch", lambda: training.epochs(context), process)
        training.kill(training.train_workers(os.getpid())[0])
        assert process.wait(timeout=training.LIMIT) == 1
    assert "continues from the last checkpoint" in training.error(context)["hint"]
    assert list(context.checkpoints.iterdir())


def test_interrupted_step_ends_with_130_and_leaves_no_worker(dataset: Path, ray_address: str, tmp_path: Path) -> None:
    context = training.context(tmp_path, dataset, **JOB)
    with training.started(context, ray_address=ray_address, **TOKEN) as process:
        training.wait_for("first epoch", lambda: training.epochs(context), process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    training.wait_for("end of the workers", lambda: not training.train_workers(os.getpid()))
    assert not (tmp_path / "bundle").exists()


def test_step_without_a_ray_to_join_starts_and_ends_its_own(dataset: Path, tmp_path: Path) -> None:
    context = training.context(tmp_path, dataset, params={"seed": 3, "batch": 128, "epochs": 1}, resources={"workers": 1})
    with training.started(context, **TOKEN) as process:
        training.wait_for("first epoch", lambda: training.epochs(context), process)
        family = training.descendants(process.pid)
        assert process.wait(timeout=training.LIMIT) == 0
    assert bundles.load(context.outputs["bundle"])
    training.wait_for("end of Ray", lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))


def test_head_ends_with_its_lifeline_and_takes_everything_along(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    argv = [sys.executable, "-m", "jobs.steps.ray_head", "--ready", str(tmp_path / "ray.json"), "--cpus", "1"]
    environment = {**os.environ, **TOKEN, "PYTHONPATH": str(training.REPOSITORY), LIFELINE: str(reading)}
    head = subprocess.Popen(argv, env=environment, pass_fds=(reading,))
    os.close(reading)
    training.wait_for("Ray", (tmp_path / "ray.json").exists, head)
    assert json.loads((tmp_path / "ray.json").read_text())["pid"] == head.pid
    family = training.descendants(head.pid)
    assert len(family) > 3
    os.close(writing)
    assert head.wait(timeout=30) == 0
    training.wait_for("end of Ray", lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))
