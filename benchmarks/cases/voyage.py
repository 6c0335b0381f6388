"""`seatrial run` of the flights pipeline, cold, beside its engines alone.

The engines alone are three programs that one would write by hand: the features on Sail (``bare_etl``), one plain PyTorch loop over rows that are
encoded already, for as many epochs as the run trained (``training_peers bare``), and a FastAPI server until its first answer
(``serving_peers``). They check nothing, compare nothing, register nothing and resume nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.cases import etl, training
from benchmarks.comparing import Comparison, Figure
from benchmarks.measuring import REPOSITORY, Ended, Sample, python
from drills.sandbox import free_port

FILE = str(REPOSITORY / "examples" / "flights" / "pipeline.yaml")


def run(bench: Bench) -> None:
    cold, bare = bench.work / "cold", _Bare(bench.work)

    def seatrial() -> Sample:
        sample = _cold(cold)
        bare.take(cold)
        return sample

    comparison = Comparison("voyage", "`seatrial run` of flights, nothing cached", "s", "seatrial")
    bench.compare(comparison, {"seatrial": seatrial, "its engines alone": bare.measure}, bench.repeats(1, 3))
    bench.note(Figure("voyage", "the same again, features and models reused", _seatrial_run(cold).seconds, "s"))


def made_home(bench: Bench) -> Path:
    """A store in which the flights pipeline has run, so that it has a champion: this case's, or one made now, with two epochs."""
    if (bench.work / "cold").is_dir():
        return bench.work / "cold"
    home = bench.work / "home"
    if not home.is_dir():
        home.mkdir()
        bench.tell("  one short run of the flights pipeline, for its model")
        _seatrial_run(home, "--set", "steps.train.params.epochs=2", "--set", "steps.baseline.params.epochs=1")
    return home


def _cold(home: Path) -> Sample:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    ended = _seatrial_run(home)
    return Sample(ended.seconds, ended.memory)


def _seatrial_run(home: Path, *more: str) -> Ended:
    environment = {"PYTHONPATH": str(REPOSITORY), "SEATRIAL_HOME": str(home / ".seatrial")}
    return python("-m", "jobs.control.cli", "run", FILE, "--set", f"targets.local.port={free_port()}", *more, environment=environment, folder=home)


class _Bare:
    """The engines alone, on the rows and for the epochs of the newest run."""

    def __init__(self, work: Path) -> None:
        self._work, self._rows, self._bundle = work, work / "voyage-rows", ""

    def take(self, home: Path) -> None:
        record = newest_run(home)
        outputs = {name: step["outputs"] for name, step in record["steps"].items()}
        self._bundle = _path(outputs["train"]["bundle"]["uri"])
        shutil.rmtree(self._rows, ignore_errors=True)
        self._rows.mkdir()
        training.prepare(self._rows, _path(outputs["features"]["dataset"]["uri"]), epochs=_epochs(home, record["run"]))

    def measure(self) -> Sample:
        features = etl.script(self._work, "sail")
        loop = python(str(REPOSITORY / "benchmarks" / "training_peers.py"), "bare", str(self._rows), environment=training.environment())
        return Sample(features.value + loop.seconds + self._first_answer(), max(features.memory, loop.memory))

    def _first_answer(self) -> float:
        """Seconds until a FastAPI server around the model answers."""
        port, started = free_port(), time.perf_counter()
        argv = [sys.executable, "-m", "benchmarks.serving_peers", "fastapi", "--bundle", self._bundle, "--port", str(port)]
        with subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            try:
                while not _answers(f"http://127.0.0.1:{port}/openapi.json"):
                    if server.poll() is not None:
                        raise SystemExit("the FastAPI server did not start")
                    time.sleep(0.02)
                return time.perf_counter() - started
            finally:
                server.terminate()


def _epochs(home: Path, run: str) -> int:
    metrics = home / ".seatrial" / "runs" / run / "train" / "metrics.jsonl"
    return sum('"epoch"' in line for line in metrics.read_text().splitlines())


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def newest_run(home: Path) -> dict[str, Any]:
    records = [json.loads(path.read_text()) for path in home.glob(".seatrial/runs/*/run.json")]
    return max(records, key=lambda record: record["created"])  # type: ignore[no-any-return]


def _path(uri: str) -> str:
    return os.fspath(uri.removeprefix("file://"))
