"""A train step of Seatrial's in SageMaker's containers, on one host and on two."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psutil
import pytest

from cloud.practice.hosts import Executor
from cloud.practice.hosts.isolation import FALLBACK, Isolation
from jobs.contracts import bundle as bundles
from jobs.contracts import storage
from jobs.contracts.job import StepResult
from jobs.scoring.scorer import Scorer
from tests import factories, object_store
from tests.cloud.containers.rig import TINY, Container, step, wait_until

CODE = "/opt/ml/input/data/seatrial-code"


def container(executor: Executor, folder: Path, bucket: str, dataset: Path, count: int, name: str, **more: object) -> Container:
    home = f"{bucket}/{name}"
    given = {"entry": "tiny.model:build", "params": {"seed": 3, "batch": 128, "epochs": 2}, "resources": {"workers": count}} | more
    inputs, outputs = {"dataset": "/opt/ml/input/data/dataset"}, {"bundle": f"{home}/bundle"}
    told = step("train", home, inputs=inputs, outputs=outputs, code=CODE, **given)
    return Container(executor, folder, "train", count, told, data={"dataset": dataset, "seatrial-code": TINY})


def left_over(job: Container) -> list[str]:
    """Processes that still belong to a job."""
    home = job.environment["SEATRIAL_STEP_DIR"]
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SEATRIAL_STEP_DIR") == home:
                found.append(" ".join(process.cmdline())[:200])
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("separation", ["best", FALLBACK])
def test_two_hosts_form_one_ray_and_train_together(executor: Executor, bucket: str, dataset: Path, tmp_path: Path, separation: str) -> None:
    if separation == FALLBACK:
        executor = Executor(Isolation(FALLBACK, ()))
    job = container(executor, tmp_path, bucket, dataset, 2, f"two-{separation.replace(' ', '-')}")
    ended = job.run()
    assert ended.succeeded, job.text
    assert ended.codes == {"algo-1": 0, "algo-2": 0}, job.text
    assert len(set(re.findall(r"\(ip=(127\.[\d.]+), pid=\d+\) world_rank=", job.text))) == 2, "both workers are on one host"
    assert re.search(r"algo-1: Ray: 2 hosts in [\d.]+ s, head at 127\.", job.text)
    home = job.environment["SEATRIAL_STEP_DIR"]
    metrics = [json.loads(line) for line in storage.read_bytes(f"{home}/metrics.jsonl").splitlines()]
    assert [line["epoch"] for line in metrics if "epoch" in line] == [1, 2]
    assert StepResult.model_validate_json(storage.read_bytes(f"{home}/outputs.json")).outputs["bundle"].uri == f"{home}/bundle"
    model = job.ml() / "model"
    assert bundles.load(str(model)).fingerprint == bundles.load(f"{home}/bundle").fingerprint
    assert Scorer(str(model)).score(factories.make_rows(20)).shape == (20,)
    assert list((job.ml("algo-2") / "model").iterdir()) == [], "the model of two hosts would be merged"
    assert object_store.names(f"{home}/hosts") == [], "the token stayed in the store"
    assert left_over(job) == []


def test_one_host_starts_its_own_ray_or_none(executor: Executor, bucket: str, dataset: Path, tmp_path: Path) -> None:
    job = container(executor, tmp_path, bucket, dataset, 1, "one", resources={"workers": 0})
    assert job.run().succeeded, job.text
    assert (job.ml() / "model" / "bundle.json").exists()
    assert "Ray" not in job.text


def test_the_second_host_of_a_step_without_workers_has_nothing_to_do(executor: Executor, bucket: str, dataset: Path, tmp_path: Path) -> None:
    job = container(executor, tmp_path, bucket, dataset, 2, "idle", resources={"workers": 0})
    assert job.run().codes == {"algo-1": 0, "algo-2": 0}, job.text
    assert "algo-2: a step of kind train runs on one host, algo-1" in job.text


def test_a_step_that_fails_says_why_where_sagemaker_looks(executor: Executor, bucket: str, dataset: Path, tmp_path: Path) -> None:
    job = container(executor, tmp_path, bucket, dataset, 1, "wrong", params={"batch": 0})
    ended = job.run()
    assert ended.codes == {"algo-1": 2}, job.text
    assert "a batch of 0 rows cannot be split evenly" in job.reason()
    assert "next:" in job.reason()
    assert not (job.ml() / "model" / "bundle.json").exists()


def test_another_version_is_refused_in_the_first_second(executor: Executor, bucket: str, dataset: Path, tmp_path: Path) -> None:
    job = container(executor, tmp_path, bucket, dataset, 1, "skew")
    job.environment = {**job.environment, "SEATRIAL_EXPECT_VERSIONS": '{"ray": "1.0.0"}'}
    assert job.run().codes == {"algo-1": 2}, job.text
    assert "the client has ray 1.0.0" in job.reason()


def test_sigterm_ends_two_hosts_and_what_was_trained_is_kept(executor: Executor, bucket: str, dataset: Path, tmp_path: Path) -> None:
    long = {"seed": 3, "batch": 16, "epochs_at_most": 500}
    job = container(executor, tmp_path, bucket, dataset, 2, "stopped", params=long)
    run = job.start(grace=60)
    home = job.environment["SEATRIAL_STEP_DIR"]
    wait_until(lambda: object_store.names(f"{home}/checkpoints"), job, run, 120)
    run.stop()
    ended = run.wait(60)
    assert ended is not None, job.text
    assert ended.reason == "stopped"
    assert ended.codes == {"algo-1": 130, "algo-2": 0}, job.text
    assert object_store.names(f"{home}/checkpoints")
    assert not storage.exists(f"{home}/outputs.json")
    assert left_over(job) == []
