"""Steps of Seatrial's as SageMaker processing jobs: the ETL on both engines, evaluation, and what a failure leaves behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cloud.practice.hosts import Executor
from jobs.contracts import dataset as datasets
from jobs.contracts import storage
from tests import factories
from tests.cloud.containers.rig import TINY, Container, step
from tests.workloads import tiny_data

CODE = "/opt/ml/processing/seatrial-code"


def container(executor: Executor, folder: Path, environment: dict[str, str], **inputs: Path) -> Container:
    """A processing job whose inputs and code lie below /opt/ml/processing, as SageMaker downloads them."""
    job = Container(executor, folder, "process", environment=environment)
    for name, source in {"seatrial-code": TINY, **{f"input/{key}": place for key, place in inputs.items()}}.items():
        shutil.copytree(source, job.ml() / "processing" / name)
    (job.ml() / "config").mkdir(exist_ok=True)
    (job.ml() / "config" / "processingjobconfig.json").write_text("{}")
    return job


@pytest.mark.parametrize("engine", ["sail", "spark"])
def test_the_etl_publishes_a_dataset(executor: Executor, bucket: str, tmp_path: Path, engine: str) -> None:
    if engine == "spark" and shutil.which("java") is None:
        pytest.skip("needs Java")
    raw = tiny_data.write_points(tmp_path / "raw", rows=1500).parent
    target = f"{bucket}/datasets/tiny-{engine}"
    told = step(
        "etl",
        f"{bucket}/etl-{engine}",
        inputs={"raw": "/opt/ml/processing/input/raw"},
        outputs={"dataset": target},
        code=CODE,
        entry="tiny.features:build",
        resources={"workers": 1, "cpu": 1, "memory": "1Gi"},
    )
    job = container(executor, tmp_path / "job", told | {"SEATRIAL_ENGINE": engine}, raw=raw)
    assert job.run().codes == {"algo-1": 0}, job.text
    manifest = datasets.verify(target)
    assert manifest.recorded["engine"] == engine
    assert sum(manifest.split.rows.values()) > 1000
    assert storage.exists(f"{bucket}/etl-{engine}/outputs.json")


def test_evaluation_publishes_its_report(executor: Executor, bucket: str, dataset: Path, bundle: Path, tmp_path: Path) -> None:
    weak = tmp_path / "weak"
    factories.make_bundle(weak, dataset, skill=0.2)
    places = {name: f"/opt/ml/processing/input/{name}" for name in ("dataset", "bundle", "baseline")}
    told = step("evaluate", f"{bucket}/judge", inputs=places, outputs={"report": f"{bucket}/judge/report"}, code=CODE)
    job = container(executor, tmp_path / "job", told, dataset=dataset, bundle=bundle, baseline=weak)
    assert job.run().codes == {"algo-1": 0}, job.text
    assert json.loads(storage.read_bytes(f"{bucket}/judge/report/verdict.json"))["champion"] is True


def test_a_failure_is_told_in_the_exit_message(executor: Executor, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    given: dict[str, Any] = {"inputs": {"raw": "/opt/ml/processing/input/raw"}, "outputs": {"dataset": f"{bucket}/none"}, "code": CODE}
    told = step("etl", f"{bucket}/broken", entry="tiny.features:build", **given)
    job = container(executor, tmp_path / "job", told | {"SEATRIAL_ENGINE": "sail"}, raw=tmp_path / "raw")
    assert job.run().codes == {"algo-1": 2}, job.text
    assert "points.csv" in job.reason(name="message")


def test_without_a_step_it_says_what_it_is_for(executor: Executor, tmp_path: Path) -> None:
    job = Container(executor, tmp_path, "process")
    assert job.run().codes == {"algo-1": 2}, job.text
    assert "AppSpecification.ContainerEntrypoint" in job.reason(name="message")


def test_a_job_file_that_is_not_there(executor: Executor, bucket: str, tmp_path: Path) -> None:
    job = Container(executor, tmp_path, "process", environment={"SEATRIAL_JOB_FILE": f"{bucket}/nowhere/job.json"})
    assert job.run().codes == {"algo-1": 2}, job.text
    assert "nowhere/job.json" in job.reason(name="message")
