"""The ETL step as tests run it: in this process on Sail, or as a process of its own on either engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.contracts.errors import SetupError
from jobs.contracts.job import Context, Job, StepResult
from spark_etl.engines import INSTALL_JAVA, check_java, open_session
from spark_etl.job import main

ROOT = Path(__file__).parents[2]
TINY, FLIGHTS = ROOT / "tests/workloads/tiny", ROOT / "examples/flights"


@pytest.fixture(scope="session")
def sail() -> Iterator[SparkSession]:
    with open_session("sail", cores=2) as session:
        yield session


@pytest.fixture(scope="session")
def java() -> None:
    """Skips, by name, what needs Java where there is none."""
    try:
        check_java()
    except SetupError as error:
        pytest.skip(f"{error.what}: {INSTALL_JAVA}")


@dataclass(frozen=True)
class Etl:
    """Runs ETL steps of a workload below one folder."""

    folder: Path
    code: Path = TINY
    entry: str = "tiny.features:build"

    @property
    def final(self) -> Path:
        return self.folder / "datasets" / "rows" / "f1"

    def job(self, **changes: Any) -> Job:
        facts: dict[str, Any] = {"pipeline": "test", "run": "r1", "step": "prepare", "kind": "etl", "entry": self.entry, "fingerprint": "f1", "inputs": ["raw"]}
        return Job.model_validate(facts | {"outputs": ["rows"], "resources": {"workers": 2, "cpu": 1, "memory": "512Mi"}} | changes)

    def here(self, raw: Path | str, **changes: Any) -> StepResult:
        """Run the step in this process, on Sail."""
        step = self.folder / "step"
        step.mkdir(parents=True, exist_ok=True)
        return main(Context(self.job(**changes), step, {"raw": str(raw)}, {"rows": str(self.final)}, code=str(self.code)))

    def start(
        self, raw: Path | str, engine: str = "sail", *, final: Path | None = None, environment: dict[str, str] | None = None, **more: Any
    ) -> subprocess.Popen[str]:
        """Start the step as a process of its own, as every target does."""
        step = self.folder / f"step-{engine}"
        step.mkdir(parents=True, exist_ok=True)
        (step / "job.json").write_text(self.job().model_dump_json())
        variables = {
            "SEATRIAL_INPUT_RAW": str(raw),
            "SEATRIAL_OUTPUT_ROWS": str(final or self.final),
            "SEATRIAL_CODE": str(self.code),
            "SEATRIAL_ENGINE": engine,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{self.code}",
        }
        argv = [sys.executable, "-m", "spark_etl.job", "--job", str(step / "job.json")]
        return subprocess.Popen(argv, env=os.environ | variables | (environment or {}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def run(self, raw: Path | str, engine: str = "sail", **more: Any) -> subprocess.CompletedProcess[str]:
        child = self.start(raw, engine, **more)
        try:
            output, errors = child.communicate(timeout=400)
        finally:
            child.kill()
        return subprocess.CompletedProcess(child.args, child.returncode, output, errors)

    def working_folders(self) -> list[Path]:
        return sorted(self.final.parent.glob("*.tmp"))


@pytest.fixture
def etl(tmp_path: Path) -> Etl:
    return Etl(tmp_path / "etl")
