"""``python -m benchmarks.change``: how many requests fail while versions change under load.

One service with two versions of the parcel model, keep-alive connections that ask without pause, and a step of the rollout every few
thousand requests: shadow, canary, full, rollback, full. Prints one row per step and the sum; ``--output json`` for machines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving_servers import Bench, seatrial
from jobs.control.mlflow_client import open_client
from jobs.control.rollout.moves import promote, rollback
from jobs.control.rollout.record import Mode
from tests import factories

BODY = json.dumps({"color": "red", "size": 12.5, "weight": None}).encode()
STEPS = ("nothing", "shadow", "canary 10", "canary 50", "full", "rollback", "full")


@dataclass
class Counts:
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


class Client:
    """``connections`` that ask without pause; :attr:`counts` may be replaced between two steps."""

    def __init__(self, port: int, connections: int, tracking_uri: str) -> None:
        self._port, self._connections, self._uri, self._stopped = port, connections, tracking_uri, False
        self.counts = Counts()

    async def run(self, total: int) -> list[tuple[str, Counts]]:
        """One row per step."""
        asking = [asyncio.create_task(self._ask(number)) for number in range(self._connections)]
        rows = []
        for step in STEPS:
            self.counts = Counts()
            await asyncio.to_thread(take, step, self._uri)
            while self.counts.answered + len(self.counts.failed) < total // len(STEPS):
                await asyncio.sleep(0.01)
            rows.append((step, self.counts))
        self._stopped = True
        await asyncio.gather(*asking)
        return rows

    async def _ask(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        count = 0
        while not self._stopped:
            count += 1
            head = (
                f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-request-id: {number}-{count}\r\ncontent-length: {len(BODY)}\r\n\r\n"
            )
            started = time.perf_counter()
            try:
                writer.write(head.encode() + BODY)
                status, version = await _answer(reader)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.counts.failed.append(repr(error))
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                continue
            self.counts.seconds.append(time.perf_counter() - started)
            if status == 200:
                self.counts.answered += 1
                self.counts.versions[version] += 1
            else:
                self.counts.failed.append(str(status))
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    await reader.readexactly(int(headers["content-length"]))
    return int(lines[0].split()[1]), headers.get("x-seatrial-model-version", "")


def take(step: str, uri: str) -> None:
    name, _, percent = step.partition(" ")
    if name == "rollback":
        rollback(uri, "parcels")
    elif name != "nothing":
        promote(uri, "parcels", "2", Mode(name), percent=float(percent or 0))


def prepare(folder: Path) -> str:
    factories.make_dataset(folder / "data", rows=4_000)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = open_client(uri)
    client.create_registered_model("parcels")
    for number in (1, 2):
        bundle = factories.make_bundle(folder / str(number), folder / "data", run=f"run-{number}", skill=1 - 0.01 * (number - 1))
        client.create_model_version("parcels", str(folder / str(number)), tags={"seatrial.bundle": bundle.fingerprint})
    promote(uri, "parcels", "1")
    return uri


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=24_500)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--output", choices=["text", "json"], default="text")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seatrial-bench-") as folder:
        uri = prepare(Path(folder))
        with seatrial(Bench("parcels", uri, "", Path(folder), 0), arguments.replicas) as server:
            rows = asyncio.run(Client(int(server.url.rpartition(":")[2]), arguments.connections, uri).run(arguments.requests))
    _print(rows, arguments.output)


def _print(rows: list[tuple[str, Counts]], output: str) -> None:
    table: list[dict[str, Any]] = [
        {
            "step": step,
            "requests": counts.answered + len(counts.failed),
            "failed": len(counts.failed),
            "by_version": dict(sorted(counts.versions.items())),
            "p99_ms": round(1e3 * sorted(counts.seconds)[int(0.99 * len(counts.seconds))], 2),
        }
        for step, counts in rows
    ]
    failed, total = sum(row["failed"] for row in table), sum(row["requests"] for row in table)
    if output == "json":
        print(json.dumps({"steps": table, "requests": total, "failed": failed}, indent=1))
        return
    for row in table:
        print(f"{row['step']:<10} {row['requests']:>7,} requests {row['failed']:>4} failed  p99 {row['p99_ms']:>7.2f} ms  by version {row['by_version']}")
    print(f"{'in all':<10} {total:>7,} requests {failed:>4} failed")


if __name__ == "__main__":
    main()
