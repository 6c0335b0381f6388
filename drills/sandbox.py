"""A directory with a store of its own, in which commands run as a user would run them."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
FILE = "tiny/pipeline.yaml"
PATIENCE = 180.0  # seconds


@dataclass(frozen=True)
class Sandbox:
    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def store(self) -> Path:
        return self.folder / ".seatrial"

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SEATRIAL_")}
        argv = [sys.executable, "-m", "jobs.control.cli", *arguments]
        environment = kept | {"PYTHONPATH": str(ROOT)} | variables
        return subprocess.Popen(argv, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments: str, limit: float = 300, **variables: str) -> subprocess.CompletedProcess[str]:
        child = self.start(*arguments, **variables)
        try:
            output, errors = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
        return subprocess.CompletedProcess(child.args, child.returncode, output, errors)

    def run_file(self, file: str, *more: str) -> subprocess.CompletedProcess[str]:
        return self.run("run", file, "--set", f"targets.local.port={self.port}", *more)

    def json(self, *arguments: str) -> Any:
        answer = self.run(*arguments, "--output", "json")
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def newest_run(self) -> dict[str, Any]:
        records = [json.loads(path.read_text()) for path in self.store.glob("runs/*/run.json")]
        return max(records, key=lambda record: record["created"])

    def post(self, path: str, body: object) -> tuple[dict[str, Any], dict[str, str]]:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer), dict(answer.headers)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def processes(self) -> list[psutil.Process]:
        """Everything that runs for this place: it has the place's store in its command line or its environment."""
        return [process for process in psutil.process_iter() if self._belongs(process)]

    def _belongs(self, process: psutil.Process) -> bool:
        try:
            return any(str(self.store) in text for text in [*process.cmdline(), *process.environ().values()])
        except psutil.Error:
            return False


def make_sandbox(folder: Path) -> Sandbox:
    """A fresh directory with the tiny workload and its table: a whole run takes some twenty seconds."""
    from tests.workloads.tiny_data import write_points

    shutil.copytree(ROOT / "tests" / "workloads" / "tiny", folder / "tiny", ignore=shutil.ignore_patterns("__pycache__"))
    write_points(folder / "tiny" / "data")
    return Sandbox(folder, free_port())


def wait_until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def free_port() -> int:
    """One below those that systems give to outgoing connections (32768 and up on Linux), of which one could take it before the server does."""
    while True:
        port = random.randrange(20_000, 30_000)  # noqa: S311 - no secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
