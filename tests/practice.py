"""One practice service in the background for all tests of a session that only use it: its own process, its own ports."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PracticeService:
    """``environment`` is what ``seatrial practice env`` prints."""

    home: Path
    environment: dict[str, str]
    page: str

    def seatrial(self, *words: str) -> str:
        return _seatrial(self.home, *words)

    def inject(self, kind: str, match: str, **options: float) -> None:
        """As ``seatrial practice inject``, without the time that a command needs to start."""
        body = json.dumps({"kind": kind, "match": match, **options}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.page}/api/inject", body, {"Content-Type": "application/json"}), timeout=30):
            return

    def jobs(self, cloud: str) -> list[str]:
        """Names of all that was submitted to a cloud of it, by our name of the cloud."""
        with urllib.request.urlopen(f"{self.page}/api/state", timeout=30) as answer:
            records = json.loads(answer.read())["records"]
        return [each["name"] for each in records if each["cloud"] == {"sagemaker": "aws", "azureml": "azure"}[cloud]]


def start(folder: Path) -> PracticeService:
    ports = [word for option in ("--page-port", "--aws-port", "--azure-port") for word in (option, str(_free_port()))]
    record: dict[str, Any] = json.loads(_seatrial(folder, "practice", "up", *ports, "--output", "json"))
    return PracticeService(folder, json.loads(_seatrial(folder, "practice", "env", "--output", "json")), record["page"])


def _seatrial(home: Path, *words: str) -> str:
    environment = {**os.environ, "SEATRIAL_HOME": str(home)}
    done = subprocess.run([sys.executable, "-m", "jobs.control.cli", *words], env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
