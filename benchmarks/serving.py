"""What serving costs: ``python -m benchmarks.serving [--parcels] [--seconds 10] [--only NAME ...] [--overload 60] [--output FILE]``.

The same model behind four servers, one process each, 32 connections, single rows as JSON, the load from this process:

    seatrial    as `seatrial serve up` runs it: Ray Serve, HAProxy; validation, metrics and a log line per request
    bare        the same application behind uvicorn alone
    fastapi     written by hand: FastAPI, pydantic, ONNX Runtime, uvicorn with its access log
    ray         the same FastAPI application in Ray Serve as it comes

Then requests of 1,000 rows as columns against the model called in this process; p99 at one rate (nine tenths of what FastAPI reached); two
replicas; a replica killed under load; and, with --overload SECONDS, three times the sustainable rate. A table at the end has each figure
beside what is demanded of it. Needs an idle machine and a champion in the registry (`seatrial run examples/flights/pipeline.yaml`), or
--parcels: a model of three fields, made on the spot. A short look: --parcels --seconds 2 --skip replicas.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.change import prepare
from benchmarks.load import Outcome, measure, request_of
from benchmarks.serving_servers import SERVERS, Bench, Server, seatrial, wait
from jobs.control.artefacts import fetch
from jobs.control.home import Home
from jobs.control.registry_reader import resolve_alias
from jobs.scoring.scorer import Scorer

CONNECTIONS = 32
ROWS = 1_000  # of a columnar request


# ---- Measurements ---------------------------------------------------------------------------------------------------


def single_rows(bench: Bench, only: list[str]) -> None:
    """Closed loop against each server, processor time beside it, then all at one rate."""
    found: dict[str, Outcome] = {}
    print(f"single rows, {CONNECTIONS} connections, {bench.seconds:.0f} s each", flush=True)
    for name in (each for each in SERVERS if each in only):
        with SERVERS[name](bench) as server:
            measure(server.url, bench.row, connections=CONNECTIONS, seconds=min(3.0, bench.seconds))  # warm
            before = server.cpu()
            outcome = found[name] = measure(server.url, bench.row, connections=CONNECTIONS, seconds=bench.seconds, warm_up=0)
            used = server.cpu() - before
            print(f"  {name:10} {outcome}   {1e3 * used / max(1, sum(outcome.statuses.values())):.3f} ms of processor time per request", flush=True)
            bench.figures[f"{name}_rate"], bench.figures[f"{name}_p99_ms"] = round(outcome.rate), round(outcome.quantile(0.99), 2)
            if name == "seatrial":
                bench.note("processor time per single row, ms", 1e3 * used / max(1, outcome.statuses[200]), "at most 0.5, aim 0.35")
            if "fastapi" in found:
                at_one_rate(bench, server, 0.9 * found["fastapi"].rate)
    if {"fastapi", "seatrial"} <= found.keys():
        bench.note("throughput against FastAPI", found["seatrial"].rate / found["fastapi"].rate, "at least 0.9, aim 1.2")
        same = bench.figures["seatrial_p99_at_rate_ms"] / bench.figures["fastapi_p99_at_rate_ms"]
        bench.note("p99 against FastAPI's at the same rate", same, "at most 1.5")
    if {"ray", "seatrial"} <= found.keys():
        bench.note("throughput against Ray Serve's defaults", found["seatrial"].rate / found["ray"].rate, "at least 5")


def at_one_rate(bench: Bench, server: Server, rate: float) -> None:
    outcome = measure(server.url, bench.row, connections=4 * CONNECTIONS, seconds=bench.seconds, rate=rate)
    print(f"  {server.name:10} {outcome}   open loop, {rate:,.0f} due per second", flush=True)
    bench.figures[f"{server.name}_p99_at_rate_ms"] = round(outcome.quantile(0.99), 2)


def columns(bench: Bench) -> None:
    """Requests of 1,000 rows, JSON and binary, against the model in this process."""
    scorer = Scorer(bench.bundle)
    table = table_of(bench, scorer)
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < min(3.0, bench.seconds):
        scorer.score(table)
        calls += 1
    bare = calls * ROWS / (time.perf_counter() - started)
    print(f"columns of {ROWS:,} rows; the model in this process: {bare:,.0f} rows/s", flush=True)
    with seatrial(bench) as server:
        for kind, request in (("JSON", json_columns(bench.model, table)), ("binary", binary_columns(bench, table))):
            outcome = measure(server.url, request, connections=8, seconds=bench.seconds)
            print(f"  {kind:10} {outcome}   {outcome.rate * ROWS:,.0f} rows/s", flush=True)
            bench.note(f"columnar rows, {kind}, share of the bare model's", outcome.rate * ROWS / bare, "binary: at least 0.5")


def replicas(bench: Bench) -> None:
    with seatrial(bench, 2) as server:
        outcome = measure(server.url, bench.row, connections=CONNECTIONS, seconds=bench.seconds, warm_up=3)
        print(f"two replicas\n  seatrial   {outcome}", flush=True)
        if one := bench.figures.get("seatrial_rate"):
            bench.note("throughput with two replicas against one", outcome.rate / one, f"grows while cores last; here {os.cpu_count()}")
        kill_one(bench, server)


def kill_one(bench: Bench, server: Server) -> None:
    """A replica dies under load; how long until another one listens in its place?"""
    victim, before = server.work()[0], {process.pid for process in server.work()}
    back: list[float] = []

    def kill() -> None:
        time.sleep(3)
        victim.kill()
        started = time.monotonic()
        wait(lambda: any(process.pid not in before and process.net_connections() for process in server.work()))
        back.append(time.monotonic() - started)

    thread = threading.Thread(target=kill)
    thread.start()
    outcome = measure(server.url, bench.row, connections=CONNECTIONS, seconds=15)
    thread.join()
    failed = sum(count for status, count in outcome.statuses.items() if status != 200)
    print(f"a replica killed after 3 of 15 s\n  seatrial   {outcome}", flush=True)
    bench.note("requests that failed when a replica was killed", failed, "0")
    bench.note("seconds until another one listened", back[0], "at most 10")


def overload(bench: Bench, seconds: float) -> None:
    """Three times what is sustainable, then the normal rate again."""
    with seatrial(bench) as server:
        normal = measure(server.url, bench.row, connections=CONNECTIONS, seconds=bench.seconds)
        before = sum(process.memory_info().rss for process in server.work())
        flooded = measure(server.url, bench.row, connections=16 * CONNECTIONS, seconds=seconds, rate=3 * normal.rate, from_sending=True)
        grown = sum(process.memory_info().rss for process in server.work()) - before
        after = measure(server.url, bench.row, connections=CONNECTIONS, seconds=3, warm_up=2)
        print(f"three times {normal.rate:,.0f}/s for {seconds:.0f} s\n  normal     {normal}\n  overload   {flooded}\n  after      {after}", flush=True)
        bench.note("p99 of accepted requests against the normal one", flooded.quantile(0.99) / normal.quantile(0.99), "at most 2")
        bench.note("other answers than 200, 429 and 503", sum(n for status, n in flooded.statuses.items() if status not in (200, 429, 503)), "0")
        bench.note("memory that the replica gained, MiB", grown / (1 << 20), "bounded")
        bench.note("throughput afterwards against before", after.rate / normal.rate, "about 1")


def table_of(bench: Bench, scorer: Scorer) -> pa.Table:
    """The example with every number shaken a little, so that no row is like another."""
    random = np.random.default_rng(0)
    found = {}
    for each in scorer.bundle.inputs:
        value = bench.example[each.name]
        if each.kind == "category":
            found[each.name] = pa.array([value if chosen else None for chosen in random.random(ROWS) > 0.1], pa.string())
        else:
            found[each.name] = pa.array((0.0 if value is None else value) + random.normal(size=ROWS))
    return pa.table(found)


def json_columns(model: str, table: pa.Table) -> bytes:
    """A request of the Open Inference Protocol."""
    inputs = [
        {"name": name, "shape": [len(table)], "datatype": "BYTES" if pa.types.is_string(table[name].type) else "FP64", "data": table[name].to_pylist()}
        for name in table.column_names
    ]
    return request_of(f"/v2/models/{model}/infer", json.dumps({"inputs": inputs}).encode())


def binary_columns(bench: Bench, table: pa.Table) -> bytes:
    inputs, parts = [], []
    for name in table.column_names:
        column = table[name]
        if pa.types.is_string(column.type):
            values = [(value or "").encode() for value in column.to_pylist()]
            parts.append(b"".join(struct.pack("<I", len(value)) + value for value in values))
        else:
            parts.append(column.to_numpy().astype("<f8").tobytes())
        datatype = "BYTES" if pa.types.is_string(column.type) else "FP64"
        inputs.append({"name": name, "shape": [ROWS], "datatype": datatype, "parameters": {"binary_data_size": len(parts[-1])}})
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(head))}
    return request_of(f"/v2/models/{bench.model}/infer", head + b"".join(parts), headers)


def opened(model: str, folder: Path, seconds: float, *, made: bool) -> Bench:
    uri = prepare(folder) if made else Home.find().tracking_uri
    champion = resolve_alias(uri, model, "champion")
    if champion is None:
        raise SystemExit(f"{model} has no champion: seatrial run examples/flights/pipeline.yaml")
    return Bench(model, uri, fetch(champion).removeprefix("file://"), folder, seconds)


def _print(bench: Bench) -> None:
    print(f"\n{'server':<12}{'requests/s':>12}{'p99 ms':>10}{'p99 ms at one rate':>20}")
    for name in SERVERS:
        if f"{name}_rate" in bench.figures:
            at_rate = bench.figures.get(f"{name}_p99_at_rate_ms", float("nan"))
            print(f"{name:<12}{bench.figures[f'{name}_rate']:>12,}{bench.figures[f'{name}_p99_ms']:>10.2f}{at_rate:>20.2f}")
    print(f"\n{'figure':<56}{'measured':>10}   demanded")
    for name, value, demand in bench.judged:
        print(f"{name:<56}{value:>10,.2f}   {demand}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="flights")
    parser.add_argument("--parcels", action="store_true", help="with a small model that is made on the spot")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--only", nargs="*", default=list(SERVERS), choices=list(SERVERS))
    parser.add_argument("--skip", nargs="*", default=[], choices=["rows", "columns", "replicas"])
    parser.add_argument("--overload", type=float, default=0, help="seconds at three times the sustainable rate")
    parser.add_argument("--output", default="", help="file for the figures, as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-serving-") as folder:
        bench = opened("parcels" if given.parcels else given.model, Path(folder), given.seconds, made=given.parcels)
        if "rows" not in given.skip:
            single_rows(bench, given.only)
        if "columns" not in given.skip:
            columns(bench)
        if "replicas" not in given.skip:
            replicas(bench)
        if given.overload:
            overload(bench, given.overload)
    _print(bench)
    if given.output:
        Path(given.output).write_text(json.dumps(bench.figures, indent=1))


if __name__ == "__main__":
    main()
