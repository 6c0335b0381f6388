"""A real Ray cluster of two nodes on this machine, started as its users start one, with its token set."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

START = 120  # seconds until the dashboard's agents must listen


@dataclass(frozen=True)
class RayCluster:
    address: str  # of its dashboard
    token: str

    @property
    def environment(self) -> dict[str, str]:
        """What a client of it has to set."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}


@contextmanager
def start() -> Iterator[RayCluster]:
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short: Ray's socket paths must stay below 107 characters
    gcs, dashboard, *agents = free_ports(4)
    cluster = RayCluster(f"http://127.0.0.1:{dashboard}", secrets.token_hex(20))
    # `python` in a job is the cluster's; its own folder comes first, as in an image.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, **cluster.environment, "PATH": path, "RAY_USAGE_STATS_ENABLED": "0"}
    head = ["--head", "--node-ip-address=127.0.1.1", f"--port={gcs}", f"--dashboard-port={dashboard}", "--dashboard-host=127.0.0.1", f"--temp-dir={folder}"]
    node = [f"--address=127.0.1.1:{gcs}", "--node-ip-address=127.0.1.2"]
    try:
        for arguments, agent in zip((head, node), agents, strict=True):
            _ray("start", *arguments, f"--dashboard-agent-listen-port={agent}", "--num-cpus=2", "--object-store-memory=200000000", environment=environment)
        _wait_for_agent(("127.0.1.1", agents[0]))
        yield cluster
    finally:
        _end(folder)


def _ray(*arguments: str, environment: dict[str, str]) -> None:
    command = [str(Path(sys.executable).with_name("ray")), *arguments]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=START, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def _wait_for_agent(address: tuple[str, int]) -> None:
    """Jobs are taken once the head's agent listens."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://{address[0]}:{address[1]}/api/healthz", timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the Ray cluster did not come up")


def _end(folder: Path) -> None:
    """Not `ray stop`, which would end every Ray of this machine."""
    ours = [process for process in psutil.process_iter() if _belongs(process, str(folder))]
    for process in ours:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(ours, timeout=10)
    shutil.rmtree(folder, ignore_errors=True)


def _belongs(process: psutil.Process, folder: str) -> bool:
    try:
        return any(folder in part for part in process.cmdline()) or folder in process.environ().get("RAY_SESSION_DIR", "")
    except psutil.Error:
        return False


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
