"""Training throughput of Seatrial beside its peers: ``python -m benchmarks.training [DATASET] [--pairs 5]``.

Same model, same rows, same global batch; every peer is run in turn with Seatrial, ``--pairs`` times, and the median of the
ratios counts. Also the loader alone, and the loop fed by a loader that does nothing. Needs two idle cores.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from jobs.contracts import dataset as datasets
from jobs.contracts.job import Context, Job
from jobs.control.catalog import find_dataset
from jobs.control.home import Home
from jobs.steps import training_loop, training_run
from jobs.steps.device import place
from jobs.steps.loader import Loader, Rows

REPOSITORY = Path(__file__).parents[1]
CODE, ENTRY = REPOSITORY / "examples" / "flights", "flights.model:build"
EPOCHS = 4  # the first one reads the data and is left out
TARGETS = {"torchrun": 0.97, "bare": 0.7, "ray-data": 4.0}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", nargs="?", help="folder of a published flights dataset; default: the newest that a run made here")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4096)
    parser.add_argument("--peers", nargs="*", default=list(TARGETS), choices=list(TARGETS))
    given = parser.parse_args()
    given.dataset = given.dataset or find_dataset(Home.find(), "flights")[0]
    with tempfile.TemporaryDirectory(prefix="bench-training-") as folder:
        work = Path(folder)
        rows = prepare(work, given.dataset, given.batch)
        print(f"rows {len(rows):,}, global batch {given.batch:,}, {os.cpu_count()} cores; rows per second, median of {given.pairs} pairs")
        loader_alone(work, given.dataset, given.batch)
        fed_by_mock(work, given.dataset, given.batch, given.pairs)
        with head(work) as address:
            for peer in given.peers:
                compare(work, peer, address, given)
    return 0


def prepare(work: Path, dataset: str, batch: int) -> Rows:
    """Write what the peers read: the train part, encoded once."""
    loader, encoder = open_loader(work, dataset, batch)
    rows = loader.all_rows()
    torch.save((rows.categorical.long(), rows.numeric, rows.labels), work / "rows.pt")
    categorical = {name: rows.categorical[:, i].numpy() for i, name in enumerate(encoder.categorical)}
    numeric = {name: rows.numeric[:, i].numpy() for i, name in enumerate(encoder.numeric)}
    (work / "rows").mkdir()
    for part in range(4):
        table = pa.table({**categorical, **numeric, "label": rows.labels.numpy()})
        pq.write_table(table.slice(part * len(rows) // 4, len(rows) // 4), work / "rows" / f"{part}.parquet")
    told = {"code": str(CODE), "entry": ENTRY, "dataset": dataset, "batch": batch, "epochs": EPOCHS, "rows": len(rows)}
    (work / "settings.json").write_text(json.dumps({**told, "categorical": list(categorical), "numeric": list(numeric)}))
    return rows


def context(work: Path, dataset: str, batch: int, workers: int, address: str = "") -> Context:
    """A train step as the driver would start it, in a folder of its own."""
    folder = work / secrets.token_hex(4)
    folder.mkdir()
    job = Job(
        pipeline="bench",
        run="bench",
        step="train",
        kind="train",
        entry=ENTRY,
        params={"seed": 7, "batch": batch, "epochs": EPOCHS},
        resources={"workers": workers, "cpu": 1},
        inputs=("dataset",),
        outputs=("bundle",),
        fingerprint=folder.name,
    )
    return Context(job, folder, {"dataset": dataset}, {"bundle": str(folder / "bundle")}, ray_address=address, code=str(CODE))


def open_loader(work: Path, dataset: str, batch: int, **options: Any) -> tuple[Loader, Any]:
    manifest = datasets.load_manifest(dataset)
    encoder = training_run.encoder_of(training_run.build(context(work, dataset, batch, 0), manifest))
    return Loader(dataset, manifest, "train", encoder, **options), encoder


def loader_alone(work: Path, dataset: str, batch: int) -> None:
    """Streaming from Parquet with a shuffle buffer of a quarter of the rows, and from memory; one process, one thread."""
    torch.set_num_threads(1)
    streaming, _ = open_loader(work, dataset, batch, budget=16 << 20)
    memory, _ = open_loader(work, dataset, batch, budget=1 << 30)
    memory.all_rows()
    for name, loader in (("from Parquet, never all in memory", streaming), ("encoded rows kept in memory", memory)):
        speeds = []
        for epoch in range(5):
            started = time.perf_counter()
            rows = sum(len(rows) for rows in loader.shuffled(batch, seed=7, epoch=epoch))
            speeds.append(rows / (time.perf_counter() - started))
        show(f"loader alone, {name}", statistics.median(speeds), 1e6, statistics.median(speeds))


class Mock:
    """Batches without any work: the same rows again and again."""

    def __init__(self, loader: Loader, batch: int) -> None:
        self._rows, self._steps = next(loader.in_order(batch)), loader.steps(batch)

    def batches(self) -> Iterator[Rows]:
        return iter([self._rows] * self._steps)


def fed_by_mock(work: Path, dataset: str, batch: int, pairs: int) -> None:
    """The loop with the real loader against the loop with the mock, epoch by epoch in turn; one worker's half of the batch."""
    torch.set_num_threads(1)
    share = batch // 2
    loader, _ = open_loader(work, dataset, batch, world=2)
    model = training_run.build(context(work, dataset, batch, 0), datasets.load_manifest(dataset))
    optimizer = torch.optim.AdamW(model.module.parameters(), lr=1e-3, fused=True)
    placement, mock = place(0, cuda=False, bfloat16=False), Mock(loader, share)
    loader.all_rows()
    ratios = []
    for epoch in range(pairs):
        seconds = []
        for batches in (loader.shuffled(share, seed=7, epoch=epoch), mock.batches()):
            started = time.perf_counter()
            training_loop.run_epoch(model.module, optimizer, batches, training_loop.Rates(1e-3, 10_000), placement)
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[1] / seconds[0])
    show("loop with the loader / with a mock", loader.steps(share) * share / seconds[0], 0.95, statistics.median(ratios))


def compare(work: Path, peer: str, address: str, given: argparse.Namespace) -> None:
    ratios, ours = [], []
    for _ in range(given.pairs):
        theirs = run_peer(work, peer)
        ours.append(run_seatrial(work, given.dataset, given.batch, address))
        ratios.append(ours[-1] / theirs)
    show(f"Seatrial / {peer} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})", statistics.median(ours), TARGETS[peer], statistics.median(ratios))


def run_seatrial(work: Path, dataset: str, batch: int, address: str) -> float:
    """The train step on two workers of Ray Train, as a process; rows per second of its own report."""
    step = context(work, dataset, batch, 2, address)
    (step.folder / "job.json").write_text(step.job.model_dump_json())
    places = {"SEATRIAL_INPUT_DATASET": dataset, "SEATRIAL_OUTPUT_BUNDLE": step.outputs["bundle"], "SEATRIAL_CODE": str(CODE), "SEATRIAL_RAY_ADDRESS": address}
    argv = [sys.executable, "-m", "jobs.steps.train", "--job", str(step.folder / "job.json")]
    subprocess.run(argv, env={**environment(), **places}, check=True, capture_output=True, timeout=600)
    lines = [json.loads(line) for line in (step.folder / "metrics.jsonl").read_text().splitlines()]
    return statistics.median([line["rows_per_second"] for line in lines if "epoch" in line][1:])


def run_peer(work: Path, peer: str) -> float:
    script = str(REPOSITORY / "benchmarks" / "training_peers.py")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"] if peer == "torchrun" else []
    done = subprocess.run([sys.executable, *launcher, script, peer, str(work)], env=environment(), check=False, capture_output=True, text=True, timeout=900)
    if done.returncode:
        raise SystemExit(f"{peer} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    answer = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{"))  # Ray's own lines may follow
    return float(json.loads(answer)["rows_per_second"])


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
    }


TOKEN = secrets.token_hex(32)


class head:
    """The shared Ray of a local run, as a context manager that gives its address."""

    def __init__(self, work: Path) -> None:
        self._ready = work / "ray.json"

    def __enter__(self) -> str:
        argv = [sys.executable, "-m", "jobs.steps.ray_head", "--ready", str(self._ready), "--cpus", "3"]
        self._process = subprocess.Popen(argv, env=environment())
        while not self._ready.exists():
            assert self._process.poll() is None, "Ray did not start"
            time.sleep(0.05)
        return str(json.loads(self._ready.read_text())["address"])

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)


def show(name: str, speed: float, target: float, reached: float) -> None:
    print(f"{'ok ' if reached >= target else 'LOW'} {name:80} {speed:>12,.0f} rows/s   {reached:>12,.2f} (target {target:,.2f})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
