"""The servers that ``benchmarks.serving`` compares, each in processes of its own, and what one measurement knows of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.load import request_of
from drills.sandbox import free_port
from jobs.control import ingress

REPOSITORY = Path(__file__).parents[1]
_START = 240  # seconds until a server must answer


@dataclass
class Server:
    name: str
    url: str
    work: Callable[[], list[psutil.Process]]  # the processes that answer

    def cpu(self) -> float:
        """Seconds of processor time that they have used."""
        return sum(sum(process.cpu_times()[:2]) for process in self.work())


@dataclass
class Bench:
    model: str
    tracking_uri: str
    bundle: str
    work: Path
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)
    judged: list[tuple[str, float, str]] = field(default_factory=list)  # what, how much, what is demanded

    @property
    def example(self) -> dict[str, Any]:
        return json.loads((Path(self.bundle) / "example.json").read_bytes())  # type: ignore[no-any-return]

    @property
    def row(self) -> bytes:
        return request_of("/predict", json.dumps(self.example).encode())

    def note(self, name: str, value: float, demand: str = "") -> None:
        self.figures[name] = round(value, 4)
        self.judged.append((name, value, demand))
        print(f"  {name:52} {value:10,.2f}   {demand}", flush=True)


@contextmanager
def seatrial(bench: Bench, replicas: int = 1) -> Iterator[Server]:
    log = bench.work / "requests.jsonl"
    own = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "benchmark" * 4,
        "SEATRIAL_REQUEST_LOG": str(log),
        "SEATRIAL_PREDICTIONS": str(bench.work / "predictions"),
    }
    environment = own | ingress.flags()
    port, ready = free_port(), bench.work / "ray.json"
    ready.unlink(missing_ok=True)
    with running(bench, "seatrial", [sys.executable, "-m", "jobs.steps.ray_head", "--ready", str(ready), "--cpus", "4"], **environment) as head:
        wait(ready.exists)
        address = json.loads(ready.read_bytes())["address"]
        arguments = ["up", "--model", bench.model, "--tracking-uri", bench.tracking_uri, "--port", str(port), "--replicas", str(replicas)]
        subprocess.run([sys.executable, "-m", "serve.ray_app", *arguments, "--ray-address", address], env=os.environ | environment, check=True, cwd=REPOSITORY)
        url = wait_for(port, "/v2/health/ready")
        time.sleep(1.5)  # the other replicas load within their poll
        yield Server("seatrial", url, lambda: [each for each in head.children(recursive=True) if "ServeReplica" in _title(each)])


@contextmanager
def standalone(bench: Bench) -> Iterator[Server]:
    port = free_port()
    argv = [sys.executable, "-m", "serve.standalone", "--bundle", bench.bundle, "--port", str(port)]
    with running(bench, "bare", argv, SEATRIAL_REQUEST_LOG=str(bench.work / "requests.jsonl")) as process:
        yield Server("bare", wait_for(port, "/ping"), lambda: [process])


@contextmanager
def peer(bench: Bench, name: str) -> Iterator[Server]:
    port = free_port()
    with running(bench, name, [sys.executable, "-m", "benchmarks.serving_peers", name, "--bundle", bench.bundle, "--port", str(port)]) as process:
        yield Server(
            name,
            wait_for(port, "/openapi.json"),
            lambda: [process] if name == "fastapi" else [each for each in process.children(recursive=True) if "ServeReplica" in _title(each)],
        )


SERVERS: dict[str, Callable[[Bench], Any]] = {
    "fastapi": lambda bench: peer(bench, "fastapi"),
    "ray": lambda bench: peer(bench, "ray"),
    "bare": standalone,
    "seatrial": seatrial,
}


@contextmanager
def running(bench: Bench, name: str, argv: list[str], **environment: str) -> Iterator[psutil.Process]:
    """A server; it and its children end with the block."""
    with (bench.work / f"{name}.log").open("wb") as log:
        started = subprocess.Popen(argv, env=os.environ | environment, cwd=REPOSITORY, stdout=log, stderr=log, start_new_session=True)
    process = psutil.Process(started.pid)
    try:
        yield process
    finally:
        family = process.children(recursive=True) if process.is_running() else []
        started.terminate()
        try:
            started.wait(timeout=30)
        except subprocess.TimeoutExpired:
            started.kill()
        for each in family:
            if each.is_running():
                each.kill()


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def wait_for(port: int, path: str) -> str:
    """Wait until the server on this port of loopback answers; its address."""
    url = f"http://127.0.0.1:{port}"
    wait(lambda: _ok(url + path))
    return url


def _ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("a server did not start; its log is in the benchmark's folder")
        time.sleep(0.1)
