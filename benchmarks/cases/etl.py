"""The features beside a bare script on the same engine, and one core query on five engines as the rows grow."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.bench import Bench
from benchmarks.comparing import Comparison, Figure
from benchmarks.core_query import ENGINES
from benchmarks.measuring import REPOSITORY, Sample, python
from benchmarks.scale_flights import SOURCE, scale
from jobs.contracts import storage
from jobs.contracts.job import Job

CODE = REPOSITORY / "examples" / "flights"
PATHS = {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{CODE}"}
ROWS = 336_776  # flights in the tables as they come
BESIDE_BARE = 1 / 1.3
SLOW = 3.0  # times as long as Sail: who takes more is not asked for more rows in the short bench


def run(bench: Bench) -> None:
    for engine in ("sail", "spark") if bench.full else ("sail",):
        beside_bare(bench, engine)
    growth(bench, (1, 3, 10, 30) if bench.full else (1, 3, 10))


def beside_bare(bench: Bench, engine: str) -> None:
    """From a cold process to the published dataset, and to the bare script's files."""
    bare = f"bare {engine} script"
    comparison = Comparison("etl", f"flights features on {engine}, cold process to dataset", "s", "seatrial", demands={bare: BESIDE_BARE})
    contenders = {"seatrial": partial(_step, bench.work, engine), bare: partial(script, bench.work, engine)}
    bench.compare(comparison, contenders, bench.repeats(3, 5))


def growth(bench: Bench, times: tuple[int, ...]) -> None:
    """The core query as the rows grow: time, peak memory, and the power of the rows with which time grows."""
    found: dict[str, list[float]] = {name: [] for name in ENGINES}
    engines = list(ENGINES)
    for number in times:
        folder = _tables(bench.work, number)
        comparison = Comparison("etl", f"core query, {number * ROWS:,} rows", "s", "sail")
        answers: dict[str, object] = {}  # all engines must agree
        bench.compare(comparison, {name: partial(_query, name, folder, answers) for name in engines}, bench.repeats(2, 3))
        for name in engines:
            found[name].append(comparison.median(name))
        engines = [name for name in engines if bench.full or found[name][-1] < SLOW * found["sail"][-1]]
    for name, seconds in found.items():
        if len(seconds) > 1:  # from the first size to the last that it was asked for
            slope = np.polyfit(np.log(times[: len(seconds)]), np.log(seconds), 1)[0]
            demand = f"1 = as the rows; {seconds[-1] / (times[len(seconds) - 1] * ROWS) * 1e6:.2f} s per million rows at the end"
            bench.note(Figure("etl", f"growth of the core query on {name}", float(slope), "", demand))


def _query(engine: str, folder: Path, answers: dict[str, object]) -> Sample:
    ended = python("-m", "benchmarks.core_query", engine, str(folder))
    told = ended.told()
    answer = (told["rows"], told["sum"])
    if answers.setdefault("first", answer) != answer:
        raise SystemExit(f"{engine} answered {answer} after {answers['first']}")
    return Sample(told["seconds"], ended.memory)


def dataset(work: Path) -> str:
    """A published flights dataset: the newest of this case, or one made now."""
    if not (work / "datasets").is_dir():
        _step(work, "sail")
    return str(max((work / "datasets").iterdir(), key=lambda folder: folder.stat().st_mtime))


def _step(work: Path, engine: str) -> Sample:
    """The etl step in a process of its own, as every target starts it."""
    name = f"{engine}-{len(list(work.glob('steps/*')))}"
    folder = work / "steps" / name
    folder.mkdir(parents=True)
    facts = {"pipeline": "bench", "run": "bench", "step": "features", "kind": "etl", "entry": "flights.features:build", "params": {"split": "time"}}
    job = Job.model_validate(facts | {"resources": {"workers": 2, "memory": "1Gi"}, "inputs": ["raw"], "outputs": ["dataset"], "fingerprint": name})
    (folder / "job.json").write_text(job.model_dump_json())
    places = {"SEATRIAL_INPUT_RAW": SOURCE, "SEATRIAL_OUTPUT_DATASET": str(work / "datasets" / name), "SEATRIAL_CODE": str(CODE), "SEATRIAL_ENGINE": engine}
    ended = python("-m", "spark_etl.job", "--job", str(folder / "job.json"), environment=PATHS | places)
    return Sample(ended.seconds, ended.memory)


def script(work: Path, engine: str) -> Sample:
    target = work / f"bare-{engine}-{len(list(work.glob('bare-*')))}"
    ended = python("-m", "benchmarks.bare_etl", "--engine", engine, "--raw", SOURCE, "--to", str(target), environment=PATHS)
    return Sample(ended.seconds, ended.memory)


def _tables(work: Path, times: int) -> Path:
    """The three tables of the core query as plain CSV files, at so many times the rows."""
    folder = Path(storage.resolve(SOURCE))
    if times > 1:
        folder = work / f"scaled-{times}"
        scale(times, folder)
    target = work / f"tables-{times}"
    target.mkdir()
    for name in ("planes.csv", "weather.csv"):
        (target / name).write_bytes((folder / name).read_bytes())
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(folder / "flights.csv.zip"), str(target)], check=True)
    return target
