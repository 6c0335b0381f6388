"""Batch prediction, search and cross-validation beside what one would write by hand: ``python -m benchmarks.kinds predict|tune|folds``.

    predict   the whole step (Parquet in, Parquet out) beside the bare model on tensors that are in memory already: rows per second
    tune      20 trials two at a time, one thread each, none ended early, beside the same trials in a loop in one process: seconds
    folds     10 folds on two workers beside two bare processes with five folds each, and one with all: seconds

Needs two idle cores, and the flights dataset that a run has made.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.contracts import dataset as datasets
from jobs.contracts.job import Context, Job
from jobs.control.catalog import find_dataset
from jobs.control.home import Home
from jobs.scoring.scorer import Scorer

REPOSITORY = Path(__file__).parents[1]
CODE, ENTRY = REPOSITORY / "examples" / "flights", "flights.model:build"
SEARCH = {"learning_rate": {"loguniform": [0.002, 0.02]}, "dropout": {"uniform": [0.0, 0.3]}, "hidden": {"choice": [128]}}
BATCH = 65_536  # rows scored at a time, by the step and by the bare model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["predict", "tune", "folds"])
    parser.add_argument("dataset", nargs="?", help="folder of a published flights dataset; default: the newest that a run made here")
    parser.add_argument("--times", type=int, default=3, help="pairs of measurements; their median counts")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=4, help="of each model; 4 is what the example asks for")
    given = parser.parse_args()
    given.dataset = str(Path(given.dataset or find_dataset(Home.find(), "flights")[0]).resolve())
    os.environ["BENCH_DATASET"] = given.dataset  # for the bare processes
    with tempfile.TemporaryDirectory(prefix="bench-kinds-") as folder:
        {"predict": predict, "tune": tune, "folds": folds}[given.what](Path(folder), given)
    return 0


def context(folder: Path, kind: str, inputs: dict[str, str], params: dict[str, Any], workers: int) -> Context:
    folder.mkdir()
    facts: dict[str, Any] = {"pipeline": "bench", "run": "bench", "step": "work", "kind": kind, "entry": ENTRY, "params": params, "fingerprint": folder.name}
    job = Job(**facts, resources={"workers": workers, "cpu": 1}, inputs=tuple(inputs), outputs=("made",))
    return Context(job, folder, inputs, {"made": str(folder / "made")}, code=str(CODE))


def run_step(made: Context, module: str) -> float:
    """Seconds of the step as a process."""
    (made.folder / "job.json").write_text(made.job.model_dump_json())
    places = {f"SEATRIAL_INPUT_{name.upper()}": uri for name, uri in made.inputs.items()} | {"SEATRIAL_OUTPUT_MADE": made.outputs["made"]}
    return run([sys.executable, "-m", module, "--job", str(made.folder / "job.json")], **places, SEATRIAL_CODE=made.code)


def run(argv: list[str], **variables: str) -> float:
    started = time.perf_counter()
    subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **variables}, check=True, capture_output=True)
    return time.perf_counter() - started


def bare(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", f"import sys; from benchmarks import kinds; kinds.{program}(*sys.argv[1:])", *arguments]


# Batch prediction


def predict(work: Path, given: argparse.Namespace) -> None:
    train = context(work / "train", "train", {"dataset": given.dataset}, {"seed": 7, "batch": 4096, "epochs": 1}, 0)
    run_step(train, "jobs.steps.train")
    manifest = datasets.load_manifest(given.dataset)
    table = pa.concat_tables([datasets.read_part(given.dataset, manifest, part) for part in datasets.PARTS])
    (work / "rows").mkdir()
    for number in range(6):
        pq.write_table(table, work / "rows" / f"{number}.parquet", row_group_size=BATCH)
    scorer = Scorer(train.outputs["made"])
    categorical, numeric = scorer.encoder.encode(dict(zip(table.column_names, table.columns, strict=True)), len(table))
    model, step = [], []
    for number in range(given.times):
        model.append(
            speed(len(table), lambda: [scorer.score_tensors(categorical[at : at + BATCH], numeric[at : at + BATCH]) for at in range(0, len(table), BATCH)])
        )
        step.append(one_step(work / f"step-{number}", given, work / "rows", train.outputs["made"]))
    bare_speed, step_speed = statistics.median(model), statistics.median(step)
    share = statistics.median(ours / theirs for ours, theirs in zip(step, model, strict=True))
    print(f"predict: {len(table) * 6:,} rows; bare model {bare_speed:,.0f} rows/s, the step {step_speed:,.0f} rows/s: {share:.2f} of it")


def one_step(folder: Path, given: argparse.Namespace, rows: Path, bundle: str) -> float:
    """Rows per second from the first row to the last file, without the start of Python."""
    made = context(folder, "predict", {"rows": str(rows), "bundle": bundle}, {"ids": ["flight_key"] if _has(rows, "flight_key") else [], "batch": BATCH}, 1)
    run_step(made, "jobs.steps.predict")
    return float(json.loads((folder / "outputs.json").read_text())["summary"]["rows_per_second"])


def _has(rows: Path, name: str) -> bool:
    return name in pq.read_schema(rows / "0.parquet").names


def speed(rows: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return rows / (time.perf_counter() - started)


# Search


def tune(work: Path, given: argparse.Namespace) -> None:
    ratios = []
    for number in range(given.times):
        params = {"search": SEARCH, "trials": given.trials, "early_stopping": False, "seed": 7, "batch": 4096, "epochs": given.epochs}
        made = context(work / f"search-{number}", "tune", {"dataset": given.dataset}, params, 2)
        ours = run_step(made, "jobs.steps.tune")
        alone = run(bare("bare_trials", str(made.folder)))
        ratios.append(ours / alone)
        print(f"tune: {given.trials} trials two at a time {ours:.1f} s, one after another {alone:.1f} s: {ours / alone:.2f}", flush=True)
    print(f"tune: median {statistics.median(ratios):.2f} (at most 0.6)")


def bare_trials(folder: str) -> None:
    """The trials of a search that has ended, one after another in this process."""
    from jobs.steps import training_run, tune_trials

    job = Job.model_validate_json((Path(folder) / "job.json").read_bytes())
    for trial in tune_trials.load(Path(folder) / "checkpoints", job.fingerprint):
        with tempfile.TemporaryDirectory() as place:
            params = {name: value for name, value in job.params.items() if name in ("seed", "batch", "epochs")} | trial.params
            own = job.model_copy(update={"kind": "train", "params": params, "resources": {"workers": 0, "cpu": 1}, "checkpoint": {"every": "epoch", "keep": 1}})
            training_run.run(Context(own, Path(place), {"dataset": os.environ["BENCH_DATASET"]}, {}, code=str(CODE)))


# Cross-validation


def folds(work: Path, given: argparse.Namespace) -> None:
    params = {"seed": 7, "batch": 4096, "epochs": given.epochs}
    ratios = []
    for number in range(given.times):
        made = context(work / f"folds-{number}", "cross-validate", {"dataset": given.dataset}, params, 2)
        ours = run_step(made, "jobs.steps.crossval")
        started = time.perf_counter()
        halves = [subprocess.Popen(bare("bare_folds", str(made.folder), chosen), env=_alone()) for chosen in ("0,1,2,3,4", "5,6,7,8,9")]
        assert [half.wait() for half in halves] == [0, 0]
        two = time.perf_counter() - started
        one = run(bare("bare_folds", str(made.folder), ",".join(map(str, range(10)))), **_alone())
        ratios.append(two / ours)
        print(
            f"folds: one process {one:.1f} s, two {two:.1f} s (x{one / two:.2f}), on two workers {ours:.1f} s (x{one / ours:.2f}): {two / ours:.2f}", flush=True
        )
    print(f"folds: median {statistics.median(ratios):.2f} of the speed-up of two bare processes (at least 0.85)")


def bare_folds(folder: str, chosen: str) -> None:
    from jobs.steps import crossval_fold
    from jobs.steps.crossval_settings import MODEL, Settings, Unit

    text = (Path(folder) / "job.json").read_text()
    told = crossval_fold.Told(text, Settings.of(Job.model_validate_json(text)), 10, os.environ["BENCH_DATASET"], str(CODE))
    for fold in chosen.split(","):
        result, _ = crossval_fold.run(Unit(MODEL, int(fold)), told)
        assert np.isfinite(list(result.metrics.values())).all()


def _alone() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}


if __name__ == "__main__":
    sys.exit(main())
