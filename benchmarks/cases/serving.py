"""Single rows beside FastAPI and Ray Serve as it comes, at full speed and at one rate; columns beside the model in one process.

With --full also beside LitServe, BentoML and MLServer, each in an environment of its own.

``python -m benchmarks.serving`` measures more of the same servers: replicas, a killed one, overload.
"""

from __future__ import annotations

import os
import time
from functools import partial

from benchmarks.bench import Bench
from benchmarks.cases import voyage
from benchmarks.comparing import Comparison, Figure
from benchmarks.load import Outcome, measure
from benchmarks.measuring import Sample
from benchmarks.serving import CONNECTIONS, ROWS, binary_columns, opened, table_of
from benchmarks.serving_frameworks import FRAMEWORKS, Framework, python_of
from benchmarks.serving_servers import SERVERS, Server
from benchmarks.serving_servers import Bench as Stand
from jobs.scoring.scorer import Scorer

MODEL = "the model in one process"
PEERS = {"fastapi": "FastAPI, uvicorn", "ray": "Ray Serve's defaults"}
DEMANDS = {PEERS["fastapi"]: 0.9, PEERS["ray"]: 5.0}
_WARM = 2.0  # seconds
_SPARE = 1.2  # times the rate: who is not so fast is not asked for latencies at it, which would be those of its queue


def run(bench: Bench) -> None:
    os.environ["SEATRIAL_HOME"] = str(voyage.made_home(bench) / ".seatrial")
    work = bench.work / "serving"
    work.mkdir()
    stand = opened("flights", work, 10.0 if bench.full else 3.0, made=False)
    servers = _Servers(stand, 0.5 * _speed_of_fastapi(stand))
    full_speed = Comparison("serving", f"single rows, {CONNECTIONS} connections", "requests/s", "seatrial", demands=DEMANDS)
    one_rate = Comparison("serving", f"p99 of single rows, {servers.rate:,.0f} due per second", "s", "seatrial", demands={PEERS["fastapi"]: 1 / 1.5})
    columns = Comparison("serving", f"requests of {ROWS:,} rows as binary columns", "rows/s", "seatrial", demands={MODEL: 0.5})
    contenders = {"seatrial": servers.seatrial, PEERS["fastapi"]: servers.fastapi, PEERS["ray"]: servers.ray, MODEL: servers.model}
    if bench.full:
        contenders |= {each.title: partial(servers.framework, each, python_of(each)) for each in FRAMEWORKS}
    bench.together([full_speed, one_rate, columns], contenders, bench.repeats(2, 5))
    bench.note(Figure("serving", "processor time of the replica per single row", 1e3 * min(servers.used), "ms", "at most 0.5, aim 0.35"))


def _speed_of_fastapi(stand: Stand) -> float:
    """Answers per second. The rate at which latencies are compared is half of it, as a service would be run."""
    with SERVERS["fastapi"](stand) as server:
        return _whole(measure(server.url, stand.row, connections=CONNECTIONS, seconds=stand.seconds)).rate


class _Servers:
    """Each starts once per round and is asked for all that it is compared in: full speed, one rate, columns."""

    def __init__(self, stand: Stand, rate: float) -> None:
        self._stand, self.rate = stand, rate
        self._scorer = Scorer(stand.bundle)
        self._table = table_of(stand, self._scorer)
        self.used: list[float] = []  # seconds of processor time per row
        self._holds: dict[str, bool] = {}  # whether a framework keeps up with that rate, as its first round decides

    def seatrial(self) -> list[Sample | None]:
        with SERVERS["seatrial"](self._stand) as server:
            return [self._speed(server, self.used), self._latency(server), self._many(server, binary_columns(self._stand, self._table))]

    def fastapi(self) -> list[Sample | None]:
        with SERVERS["fastapi"](self._stand) as server:
            return [self._speed(server, []), self._latency(server), None]

    def ray(self) -> list[Sample | None]:
        with SERVERS["ray"](self._stand) as server:
            return [self._speed(server, []), None, None]

    def framework(self, framework: Framework, python: str) -> list[Sample | None]:
        with framework.start(self._stand, python) as server:
            row, columns = framework.row(self._stand), framework.columns and framework.columns(self._table)
            speed = self._speed(server, [], row)
            holds = self._holds.setdefault(framework.title, speed.value > _SPARE * self.rate)
            return [speed, self._latency(server, row) if holds else None, self._many(server, columns) if columns else None]

    def model(self) -> list[Sample | None]:
        started, calls = time.perf_counter(), 0
        while time.perf_counter() - started < self._stand.seconds:
            self._scorer.score(self._table)
            calls += 1
        return [None, None, Sample(calls * ROWS / (time.perf_counter() - started))]

    def _speed(self, server: Server, used: list[float], row: bytes = b"") -> Sample:
        measure(server.url, row or self._stand.row, connections=CONNECTIONS, seconds=_WARM)
        before = server.cpu()
        outcome = measure(server.url, row or self._stand.row, connections=CONNECTIONS, seconds=self._stand.seconds, warm_up=0)
        used.append((server.cpu() - before) / max(1, outcome.statuses[200]))
        return Sample(_whole(outcome).rate)

    def _latency(self, server: Server, row: bytes = b"") -> Sample:
        """Open loop: counts from when a request was due."""
        outcome = measure(server.url, row or self._stand.row, connections=4 * CONNECTIONS, seconds=self._stand.seconds, rate=self.rate)
        return Sample(_whole(outcome).quantile(0.99) / 1e3)

    def _many(self, server: Server, columns: bytes) -> Sample:
        return Sample(_whole(measure(server.url, columns, connections=8, seconds=self._stand.seconds)).rate * ROWS)


def _whole(outcome: Outcome) -> Outcome:
    """Errors: SystemExit where requests failed, for then the rate says nothing."""
    if failed := {status: count for status, count in outcome.statuses.items() if status != 200}:
        raise SystemExit(f"not all requests were answered: {failed}")
    return outcome
