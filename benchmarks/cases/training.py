"""Rows per second of a train step beside what an engineer would write without it; the loader alone; scaling, start-up, checkpoints.

Same model, same rows, same global batch. A contender's rate is the median of its epochs after the first, which reads the data.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.bench import Bench
from benchmarks.cases import etl
from benchmarks.comparing import Comparison, Figure
from benchmarks.measuring import REPOSITORY, Ended, Sample, python
from jobs.contracts import dataset as datasets
from jobs.contracts.job import Context, Job
from jobs.contracts.workload import Model
from jobs.steps import checkpoints, training_loop, training_run
from jobs.steps.device import place
from jobs.steps.loader import Loader, Rows
from jobs.steps.objectives import objective_of
from jobs.steps.settings import Settings
from jobs.steps.training_state import collect

CODE, ENTRY = REPOSITORY / "examples" / "flights", "flights.model:build"
BATCH = 4096  # rows of all workers together
EPOCHS = 3
DEMANDS = {"torchrun": 0.97, "bare loop": 0.7}
ONE = "seatrial, one worker"
RAY_DATA = "Ray Data"
PEERS = {"torchrun": "torchrun", "bare loop": "bare"}
_TOKEN = secrets.token_hex(32)


def run(bench: Bench) -> None:
    dataset = etl.dataset(bench.work)
    work = bench.work / "training"
    work.mkdir()
    prepare(work, dataset)
    loader_alone(bench, work, dataset)
    fed_by_mock(bench, work, dataset)
    rounds = bench.repeats(2, 5)
    with _head(work) as address:
        beside_peers(bench, work, dataset, address, rounds)
    checkpointing(bench, work, dataset)


def beside_peers(bench: Bench, work: Path, dataset: str, address: str, rounds: int) -> None:
    """Rows per second of the epochs; what two workers are worth; and what a step takes besides its epochs."""
    rows = json.loads((work / "settings.json").read_text())["rows"]
    comparison = Comparison("training", f"training on {rows:,} rows, two workers", "rows/s", "seatrial", demands=DEMANDS)
    besides: dict[int, list[float]] = {}

    def step(workers: int) -> Sample:
        ended, rates = _step(_context(work, dataset, workers, address))
        besides.setdefault(workers, []).append(ended.seconds - sum(rows / rate for rate in rates))
        return Sample(statistics.median(rates[1:]), ended.memory)

    contenders = {"seatrial": partial(step, 2), ONE: partial(step, 1)} | {name: partial(_peer, work, PEERS[name]) for name in DEMANDS}
    bench.compare(comparison, contenders, rounds)
    slow = Comparison("training", "the same beside Ray Data's documented pattern", "rows/s", "seatrial", demands={RAY_DATA: 4.0})
    bench.compare(slow, {"seatrial": partial(step, 2), RAY_DATA: partial(_peer, work, "ray-data")}, bench.repeats(1, 5))
    for workers, seconds in sorted(besides.items()):
        title = f"a step besides its epochs, {workers} worker{'s' * (workers > 1)}"
        bench.note(Figure("training", title, statistics.median(seconds), "s", "start, reading, export"))


def checkpointing(bench: Bench, work: Path, dataset: str) -> None:
    """What saving costs: one checkpoint beside an epoch; with --full, whole steps that save each epoch beside ones that never do."""
    settings, (model, optimizer, loader) = Settings.of(_context(work, dataset, 0)), _trainer(work, dataset)
    rows, placement = next(loader.in_order(BATCH)), place(0, cuda=False, bfloat16=False)
    training_loop.run_epoch(model.module, optimizer, [rows], training_loop.Rates(1e-3, 10), placement, objective_of(model))  # so that there are moments
    seconds = []
    for epoch in range(1, 22):
        started = time.perf_counter()
        checkpoints.save(settings.checkpoints, checkpoints.Progress(settings.job, epoch=epoch), collect(model.module, optimizer), keep=settings.keep)
        seconds.append(time.perf_counter() - started)
    bench.note(Figure("training", "one checkpoint, written and synced", 1e3 * statistics.median(seconds), "ms"))
    if bench.full:
        saving = Comparison("training", "a step that saves after every epoch, in one process", "s", "every epoch")
        often, never = ({"every": every} for every in ("epoch", "never"))
        contenders = {"every epoch": partial(_step_seconds, work, dataset, often), "never": partial(_step_seconds, work, dataset, never)}
        bench.compare(saving, contenders, bench.repeats(2, 5))


# ---- The loader ----------------------------------------------------------------------------------------------------


def loader_alone(bench: Bench, work: Path, dataset: str) -> None:
    """Streaming from Parquet with a shuffle buffer of a quarter of the rows, and from memory; one process, one thread."""
    torch.set_num_threads(1)
    streaming, _ = _open_loader(work, dataset, budget=16 << 20)
    memory, _ = _open_loader(work, dataset, budget=1 << 30)
    memory.all_rows()
    for name, loader in (("from Parquet, never all in memory", streaming), ("from memory", memory)):
        speeds = []
        for epoch in range(5):
            started = time.perf_counter()
            rows = sum(len(rows) for rows in loader.shuffled(BATCH, seed=7, epoch=epoch))
            speeds.append(rows / (time.perf_counter() - started))
        bench.note(Figure("training", f"the loader alone, {name}", statistics.median(speeds), "rows/s", "at least 1,000,000"))


class Mock:
    """Batches without any work: the same rows again and again."""

    def __init__(self, loader: Loader, batch: int) -> None:
        self._rows, self._steps = next(loader.in_order(batch)), loader.steps(batch)

    def batches(self) -> Iterator[Rows]:
        return iter([self._rows] * self._steps)


def fed_by_mock(bench: Bench, work: Path, dataset: str) -> None:
    """The loop with the loader against the loop with a loader that does nothing: the upper bound. One worker's half of the batch."""
    torch.set_num_threads(1)
    share = BATCH // 2
    model, optimizer, loader = _trainer(work, dataset, world=2)
    placement, mock, epochs = place(0, cuda=False, bfloat16=False), Mock(loader, share), iter(range(1_000))
    loader.all_rows()

    def epoch(batches: Iterator[Rows]) -> Sample:
        started = time.perf_counter()
        training_loop.run_epoch(model.module, optimizer, batches, training_loop.Rates(1e-3, 10_000), placement, objective_of(model))
        return Sample(loader.steps(share) * share / (time.perf_counter() - started))

    comparison = Comparison("training", "the loop fed by the loader", "rows/s", "the loader", demands={"a mock that does nothing": 0.95})
    real = partial(lambda: epoch(loader.shuffled(share, seed=7, epoch=next(epochs))))
    bench.compare(comparison, {"the loader": real, "a mock that does nothing": lambda: epoch(mock.batches())}, bench.repeats(3, 9))


def _trainer(work: Path, dataset: str, **options: Any) -> tuple[Model, torch.optim.Optimizer, Loader]:
    model = training_run.build(_context(work, dataset, 0), datasets.load_manifest(dataset))
    return model, torch.optim.AdamW(model.module.parameters(), lr=1e-3, fused=True), _open_loader(work, dataset, **options)[0]


def _open_loader(work: Path, dataset: str, **options: Any) -> tuple[Loader, Any]:
    manifest = datasets.load_manifest(dataset)
    encoder = training_run.encoder_of(training_run.build(_context(work, dataset, 0), manifest))
    return Loader(dataset, manifest, "train", encoder, **options), encoder


def prepare(work: Path, dataset: str, epochs: int = EPOCHS) -> Rows:
    """Write what the peers read: the train part, encoded once."""
    loader, encoder = _open_loader(work, dataset)
    rows = loader.all_rows()
    torch.save((rows.categorical.long(), rows.numeric, rows.labels), work / "rows.pt")
    categorical = {name: rows.categorical[:, i].numpy() for i, name in enumerate(encoder.categorical)}
    numeric = {name: rows.numeric[:, i].numpy() for i, name in enumerate(encoder.numeric)}
    (work / "rows").mkdir()
    for part in range(4):
        table = pa.table({**categorical, **numeric, "label": rows.labels.numpy()})
        pq.write_table(table.slice(part * len(rows) // 4, len(rows) // 4), work / "rows" / f"{part}.parquet")
    told = {"code": str(CODE), "entry": ENTRY, "dataset": dataset, "batch": BATCH, "epochs": epochs, "rows": len(rows)}
    (work / "settings.json").write_text(json.dumps({**told, "categorical": list(categorical), "numeric": list(numeric)}))
    return rows


# ---- A train step --------------------------------------------------------------------------------------------------


def _context(work: Path, dataset: str, workers: int, address: str = "", checkpoint: dict[str, str] | None = None) -> Context:
    """A train step as the driver would start it, in a folder of its own."""
    folder = work / secrets.token_hex(4)
    folder.mkdir()
    job = Job(
        pipeline="bench",
        run="bench",
        step="train",
        kind="train",
        entry=ENTRY,
        params={"seed": 7, "batch": BATCH, "epochs": EPOCHS},
        resources={"workers": workers, "cpu": 1},
        checkpoint=checkpoint or {},
        inputs=("dataset",),
        outputs=("bundle",),
        fingerprint=folder.name,
    )
    return Context(job, folder, {"dataset": dataset}, {"bundle": str(folder / "bundle")}, ray_address=address, code=str(CODE))


def _step(context: Context) -> tuple[Ended, list[float]]:
    """The step as a process, and the rows per second of its epochs."""
    (context.folder / "job.json").write_text(context.job.model_dump_json())
    places = {"SEATRIAL_INPUT_DATASET": context.inputs["dataset"], "SEATRIAL_OUTPUT_BUNDLE": context.outputs["bundle"], "SEATRIAL_CODE": str(CODE)}
    variables = environment() | places | ({"SEATRIAL_RAY_ADDRESS": context.ray_address} if context.ray_address else {})
    ended = python("-m", "jobs.steps.train", "--job", str(context.folder / "job.json"), environment=variables)
    lines = [json.loads(line) for line in (context.folder / "metrics.jsonl").read_text().splitlines()]
    return ended, [line["rows_per_second"] for line in lines if "epoch" in line]


def _step_seconds(work: Path, dataset: str, checkpoint: dict[str, str]) -> Sample:
    ended, _ = _step(_context(work, dataset, 0, checkpoint=checkpoint))
    return Sample(ended.seconds, ended.memory)


def _peer(work: Path, peer: str) -> Sample:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"] if peer == "torchrun" else []
    ended = python(*launcher, str(REPOSITORY / "benchmarks" / "training_peers.py"), peer, str(work), environment=environment())
    return Sample(float(ended.told()["rows_per_second"]), ended.memory)


def environment() -> dict[str, str]:
    threads = os.environ.get("OMP_NUM_THREADS", "2")
    return {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": threads, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _TOKEN}


@contextmanager
def _head(work: Path) -> Iterator[str]:
    """The shared Ray of a local run; gives its address."""
    ready = work / "ray.json"
    argv = [sys.executable, "-m", "jobs.steps.ray_head", "--ready", str(ready), "--cpus", "3"]
    process = subprocess.Popen(argv, env=os.environ | environment())
    try:
        while not ready.exists():
            if process.poll() is not None:
                raise SystemExit("Ray did not start")
            time.sleep(0.05)
        yield str(json.loads(ready.read_text())["address"])
    finally:
        process.terminate()
        process.wait(timeout=30)
