"""Single rows beside FastAPI and Ray Serve as it comes, at full speed and at one rate; columns beside the model in one process.

``python -m benchmarks.serving`` measures more of the same servers: replicas, a killed one, overload.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.bench import Bench
from benchmarks.cases import voyage
from benchmarks.comparing import Comparison, Figure
from benchmarks.load import Outcome, measure
from benchmarks.measuring import Sample
from benchmarks.serving import CONNECTIONS, ROWS, binary_columns, opened, table_of
from benchmarks.serving_servers import SERVERS
from benchmarks.serving_servers import Bench as Stand
from jobs.scoring.scorer import Scorer

PEERS = {"fastapi": "FastAPI, uvicorn", "ray": "Ray Serve's defaults"}
DEMANDS = {PEERS["fastapi"]: 0.9, PEERS["ray"]: 5.0}
_WARM = 2.0  # seconds


def run(bench: Bench) -> None:
    os.environ["SEATRIAL_HOME"] = str(voyage.made_home(bench) / ".seatrial")
    work = bench.work / "serving"
    work.mkdir()
    stand = opened("flights", work, 10.0 if bench.full else 4.0, made=False)
    rounds = bench.repeats(2, 5)
    at_full_speed(bench, stand, rounds)
    at_one_rate(bench, stand, rounds)
    columns(bench, stand, rounds)


def at_full_speed(bench: Bench, stand: Stand, rounds: int) -> None:
    used: dict[str, list[float]] = {}

    def ask(name: str) -> Sample:
        with SERVERS[name](stand) as server:
            measure(server.url, stand.row, connections=CONNECTIONS, seconds=_WARM)
            before = server.cpu()
            outcome = measure(server.url, stand.row, connections=CONNECTIONS, seconds=stand.seconds, warm_up=0)
            used.setdefault(name, []).append((server.cpu() - before) / max(1, outcome.statuses[200]))
            return Sample(_whole(outcome).rate)

    comparison = Comparison("serving", f"single rows, {CONNECTIONS} connections", "requests/s", "seatrial", demands=DEMANDS)
    bench.compare(comparison, _contenders(ask), rounds)
    bench.note(Figure("serving", "processor time of the replica per single row", 1e3 * min(used["seatrial"]), "ms", "at most 0.5, aim 0.35"))


def at_one_rate(bench: Bench, stand: Stand, rounds: int) -> None:
    """Open loop: latency counts from when a request was due. The rate is half of what FastAPI can do, as a service would be run."""
    rate = 0.5 * next(each for each in bench.comparisons if each.unit == "requests/s").median(PEERS["fastapi"])

    def ask(name: str) -> Sample:
        with SERVERS[name](stand) as server:
            measure(server.url, stand.row, connections=CONNECTIONS, seconds=_WARM)
            outcome = measure(server.url, stand.row, connections=4 * CONNECTIONS, seconds=stand.seconds, rate=rate)
            return Sample(_whole(outcome).quantile(0.99) / 1e3)

    comparison = Comparison("serving", f"p99 of single rows, {rate:,.0f} due per second", "s", "seatrial", demands={PEERS["fastapi"]: 1 / 1.5})
    bench.compare(comparison, _contenders(ask, "fastapi"), rounds)


def columns(bench: Bench, stand: Stand, rounds: int) -> None:
    """Rows per second of binary columnar requests, and of the model itself."""
    scorer = Scorer(stand.bundle)
    table = table_of(stand, scorer)

    def served() -> Sample:
        with SERVERS["seatrial"](stand) as server:
            return Sample(_whole(measure(server.url, binary_columns(stand, table), connections=8, seconds=stand.seconds)).rate * ROWS)

    def bare() -> Sample:
        started, calls = time.perf_counter(), 0
        while time.perf_counter() - started < stand.seconds:
            scorer.score(table)
            calls += 1
        return Sample(calls * ROWS / (time.perf_counter() - started))

    comparison = Comparison("serving", f"requests of {ROWS:,} rows as binary columns", "rows/s", "seatrial", demands={"the model in one process": 0.5})
    bench.compare(comparison, {"seatrial": served, "the model in one process": bare}, rounds)


def _contenders(ask: Callable[[str], Sample], *peers: str) -> Mapping[str, Callable[[], Sample]]:
    return {"seatrial": partial(ask, "seatrial")} | {PEERS[name]: partial(ask, name) for name in peers or PEERS}


def _whole(outcome: Outcome) -> Outcome:
    """Errors: SystemExit where requests failed, for then the rate says nothing."""
    if failed := {status: count for status, count in outcome.statuses.items() if status != 200}:
        raise SystemExit(f"not all requests were answered: {failed}")
    return outcome
