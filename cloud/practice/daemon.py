"""Start, find and end the background service of a home."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from cloud.practice.server import RECORD
from jobs.contracts.errors import RequestError, RunError, SetupError, missing_extra
from jobs.control import processes
from jobs.control.home import Home

_START = 60.0  # seconds
_OPTIONS = ("--page-port", "--aws-port", "--azure-port")


def folder(home: Home) -> Path:
    return home.root / "practice"


def find(home: Home) -> dict[str, Any] | None:
    """The record of the service that is up, or None; a record whose process is gone is removed."""
    path = folder(home) / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if processes.running(record):
        return record
    path.unlink(missing_ok=True)
    return None


def require(home: Home) -> dict[str, Any]:
    """Errors: RequestError when no service is up."""
    record = find(home)
    if record is None:
        raise RequestError("no practice service is up here", where=str(home.root), hint="start it with: seatrial practice up")
    return record


def start(home: Home, ports: tuple[int, int, int], cpu: float = 0, memory: int = 0) -> dict[str, Any]:
    """Start the service and wait until it answers; its record.

    Errors: SetupError when an extra is missing or a port is taken; RunError with its log's last line when it ends instead.
    """
    for module in ("moto", "cryptography", "uvicorn"):
        if importlib.util.find_spec(module) is None:
            raise missing_extra(module, "practice")
    for port, option in zip(ports, _OPTIONS, strict=True):
        _check_free(port, option)
    home.create()
    folder(home).mkdir(parents=True, exist_ok=True)
    log = folder(home) / "log.txt"
    argv = [sys.executable, "-m", "cloud.practice.server", "--home", str(home.root), "--ports", *map(str, ports), "--cpu", str(cpu), "--memory", str(memory)]
    with log.open("wb") as stream:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True, env=_environment())
    limit = time.monotonic() + _START
    while (record := find(home)) is None:
        if process.poll() is not None or time.monotonic() > limit:
            processes.stop_session(process.pid, process)
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            raise RunError(lines[-1] if lines else "the practice service did not start", where=str(log), hint="this log has more")
        time.sleep(0.02)
    return record


def _environment() -> dict[str, str]:
    """The service itself must not be led to practice, or anywhere else, by variables that are meant for its users."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_", "ARM_CLOUD", "IDENTITY_"))}
    kept.pop("REQUESTS_CA_BUNDLE", None)
    root = str(Path(__file__).parents[2])
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))}


def stop(home: Home) -> bool:
    """End the service and everything it runs; False when none was up."""
    record = find(home)
    if record is None:
        return False
    processes.stop_session(record["pid"])
    (folder(home) / RECORD).unlink(missing_ok=True)
    return True


def ask(record: dict[str, Any], path: str, document: Any = None) -> Any:
    """The service's own JSON interface: GET, or POST when there is a document.

    Errors: RequestError in the service's words; RunError when it does not answer.
    """
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(record["page"] + path, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise RequestError(json.loads(error.read())["error"]) from error
    except OSError as error:
        raise RunError("the practice service does not answer", where=record["page"], hint="seatrial practice down, then up") from error


def _check_free(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise SetupError(f"port {port} is in use", where="127.0.0.1", hint=f"stop what listens there, or choose another: {option} {port + 100}") from error
