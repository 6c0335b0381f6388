"""A real MLflow server on this machine that keeps its artefacts to itself, as in a cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobs.control.processes import stop_session
from jobs.control.services import get_json
from tests.ray_cluster import free_ports

START = 120  # seconds until it must answer


@dataclass(frozen=True)
class MlflowServer:
    address: str
    artefacts: Path  # where its `mlflow-artifacts:/` lies on its own disk

    def path_of(self, uri: str) -> Path:
        return self.artefacts / uri.removeprefix("mlflow-artifacts:/")


@contextmanager
def start(folder: Path, port: int = 0) -> Iterator[MlflowServer]:
    """In a folder that had one before, it goes on with what that one kept. ``port``: 0 = any."""
    port = port or free_ports(1)[0]
    server = MlflowServer(f"http://127.0.0.1:{port}", folder / "artefacts")
    argv = ["server", "--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--serve-artifacts", "--artifacts-destination", str(server.artefacts)]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    # Nothing here asks it to run jobs, whose processes would take 2 GB.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("wb") as log:
        child = subprocess.Popen([sys.executable, "-m", "mlflow", *argv], cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + START
        while get_json(f"{server.address}/version")[0] == 0:
            if child.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((folder / "server.log").read_text())
            time.sleep(0.2)
        yield server
    finally:
        stop_session(child.pid, child, grace=2)
