"""What a local run needs beside its steps: one Ray for all of them, and the service that answers.

Both start while the ETL works, so that nothing waits for them. ``service.json`` describes what is up; a service
that was kept (``--keep``) is found there and used again. One that ends with another run is not: a run beside it has its own.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobs.contracts import storage
from jobs.contracts.entrypoint import LIFELINE
from jobs.contracts.errors import RunError, SetupError
from jobs.control import ingress, processes
from jobs.control.home import Home
from jobs.control.ray_folder import remove_left
from jobs.control.service_key import KEYS, authorization

log = logging.getLogger(__name__)

RAY_MODULE, SERVE_MODULE = "jobs.steps.ray_head", "serve.ray_app"
# Ray's word for "one machine only", whatever the system: without it its ports listen on every interface. Servers and
# clients must agree, because it decides which address a Ray process takes for its own.
_LOOPBACK_ONLY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
# Ray's 60 s are for a head that comes back. This one does not: without it what runs in it should end, so that another can start.
_NOTICE_LOSS = {"RAY_gcs_rpc_server_reconnect_timeout_s": "10"}
_START_LIMIT = 120  # seconds until Ray or the service must have answered
_LET_GO = 20.0  # seconds until what ran in a lost Ray has let go of the port
_RESTARTS = 3  # of a Ray that is lost while a run needs it
_SERVE_CPUS = 1  # logical cores set aside for the replica and Serve's controller


class Services:
    """Ray and the service of one home; use :meth:`start`, then :meth:`ray_address` and :meth:`url`, then :meth:`stop`."""

    def __init__(self, home: Home, *, models: Sequence[str], port: int) -> None:
        self._home, self._models, self._port = home, tuple(models), port
        self._folder = home.root / "service"
        self._ray: subprocess.Popen[bytes] | None = None
        self._serve: subprocess.Popen[bytes] | None = None
        self._lifeline: tuple[int, int] | None = None
        self._cpus, self._keep, self._starts = 0, False, 0
        self._beside = False  # another run, whose service.json stays as it is
        self.reused = False

    def start(self, *, cpus: int, keep: bool) -> None:
        """Begin to start both; returns at once, unless what a killed run has left is about to end.

        Errors: SetupError when something else has the port, or the service that is up has other models.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of two runs that start at once, one finds the other's record
            record = read_service(self._home)
            if record and record["keep"]:
                check_models(record, self._models)
                self.reused = True
                return
            if record and record["url"] == self._url:
                self._await_end()
            elif record:
                self._go_beside(record, keep)
            check_port_free(self._port)
            self._cpus, self._keep = cpus, keep
            self._start_ray()

    def _await_end(self) -> None:
        """Of a run that was killed, the service ends within seconds; that of one that goes on does not."""
        log.warning("another run has its service at %s: waiting for its end", self._url)
        deadline = time.monotonic() + _LET_GO
        while read_service(self._home):
            if time.monotonic() > deadline:
                hint = f"wait until it is over, or choose another port: --set targets.local.port={self._port + 1}"
                raise SetupError("another run has its service at this address", where=self._url, hint=hint)
            time.sleep(0.1)
        _await_free(self._port)

    def _go_beside(self, record: Mapping[str, Any], keep: bool) -> None:
        if keep:
            hint = "wait until that run is over: one service is kept at a time"
            raise SetupError("another run has a service up, which ends with it", where=record["url"], hint=hint)
        self._beside, self._folder = True, self._folder / f"beside-{os.getpid()}"
        self._folder.mkdir(exist_ok=True)

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def _start_ray(self) -> None:
        for name in ("ray.json", "serve.json"):
            (self._folder / name).unlink(missing_ok=True)
        environment = self.environment()
        inherited: tuple[int, ...] = ()
        if not self._keep:
            self._lifeline = self._lifeline or os.pipe()
            inherited = (self._lifeline[0],)
            environment[LIFELINE] = str(self._lifeline[0])
        argv = ["-m", RAY_MODULE, "--ready", str(self._folder / "ray.json"), "--cpus", str(self._cpus + _SERVE_CPUS)]
        self._ray, self._starts = self._spawn(argv, "ray.log", environment, inherited), self._starts + 1
        self._write_service(self._ray.pid, self._keep)

    def _replace_lost(self) -> None:
        """A Ray that was up and has ended is replaced, and the service with it: steps that come later find them as if nothing had been."""
        if self._ray is None or self._ray.poll() is None or not (self._folder / "ray.json").exists() or self._starts > _RESTARTS:
            return
        log.warning("Ray has ended (%s may say why); another one is started", self._folder / "ray.log")
        for process in (self._serve, self._ray):  # of Ray there may be left what nobody is the parent of, such as the proxy on the port
            if process is not None:
                processes.stop_session(process.pid, process)
        self._serve = None
        _await_free(self._port)
        self._start_ray()

    def environment(self) -> dict[str, str]:
        """Variables of every process that talks to this Ray: its token lies in a file that only the owner reads."""
        keys = {KEYS: os.path.abspath(place)} if (place := os.environ.get(KEYS)) else {}  # Ray's processes work in folders of their own
        return {**os.environ, **keys, **ray_environment(self._home)}

    def _spawn(self, argv: list[str], log: str, environment: Mapping[str, str], inherited: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        with (self._folder / log).open("wb") as stream:
            return subprocess.Popen(
                [sys.executable, *argv], env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True, pass_fds=inherited
            )

    def _write_service(self, pid: int, keep: bool) -> None:
        if self._beside:
            return
        record = processes.identify(pid) | {"url": self._url, "models": self._models, "keep": keep}
        storage.write_bytes(str(self._home.service), json.dumps(record, indent=1).encode())

    def advance(self) -> None:
        """Start the service as soon as Ray is there, and both again when Ray is lost; call it often, it waits only after a loss."""
        self._replace_lost()
        if not self.reused and self._serve is None and (self._folder / "ray.json").exists():
            argv = ["-m", SERVE_MODULE, "up", *(word for model in self._models for word in ("--model", model))]
            argv += ["--tracking-uri", self._home.tracking_uri, "--port", str(self._port)]
            argv += ["--ray-address", self._ray_json()["address"], "--ready", str(self._folder / "serve.json")]
            self._serve = self._spawn(argv, "serve.log", self.environment())

    def ray_address(self) -> str:
        """Where Ray listens; waits until it does.

        Errors: RunError with the log when it ends instead.
        """
        self._replace_lost()
        self._wait_for("ray.json", self._ray, "ray.log")
        return str(self._ray_json()["address"])

    def ray_variables(self) -> dict[str, str]:
        """What a step's process needs to join this Ray."""
        return {"SEATRIAL_RAY_ADDRESS": self.ray_address(), **ray_environment(self._home)}

    def url(self) -> str:
        """The service's address; waits until it is live (a model may still be missing)."""
        if not self.reused:
            self.ray_address()
            self.advance()
            self._wait_for("serve.json", self._serve, "serve.log")
            if self._ray is not None and self._ray.poll() is None:
                return self._url
        elif service := read_service(self._home):
            return str(service["url"])
        raise RunError("the service has ended", where=str(self._folder / "ray.log"), hint="this log may say why; the same command goes on")

    def _ray_json(self) -> dict[str, Any]:
        return json.loads((self._folder / "ray.json").read_bytes())  # type: ignore[no-any-return]

    def _wait_for(self, name: str, process: subprocess.Popen[bytes] | None, log: str) -> None:
        deadline = time.monotonic() + _START_LIMIT
        while not (self._folder / name).exists():
            # Serve's starter ends with 0 once the service is up; any other end means that nothing will come.
            if process is not None and process.poll() not in (None, 0):
                raise _start_failed(self._folder / log, process.returncode)
            if time.monotonic() > deadline:
                raise RunError(f"did not start within {_START_LIMIT} s", where=str(self._folder / log), hint="read this log; is the machine very busy?")
            time.sleep(0.02)

    def stop(self) -> None:
        """End both, unless they were there before."""
        if self.reused:
            return
        for process in (self._serve, self._ray):
            if process is not None:
                processes.stop_session(process.pid, process)
        remove_left()  # of a Ray that had to be killed
        if self._beside:
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            self._home.service.unlink(missing_ok=True)


def ray_environment(home: Home) -> dict[str, str]:
    """What every process of this home's Ray must be told: token authentication, and to stay on loopback."""
    path = home.root / "ray-token"
    if not path.exists():
        new = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            stream.write(secrets.token_hex(32))
        with suppress(FileExistsError):  # another run was first, and its Ray has read its token
            os.link(new, path)
        new.unlink()
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path), "RAY_USAGE_STATS_ENABLED": "0", **_LOOPBACK_ONLY, **_NOTICE_LOSS, **ingress.flags()}


def read_service(home: Home) -> dict[str, Any] | None:
    """The service that is up, or None; a record whose process is gone is removed."""
    try:
        record: dict[str, Any] = json.loads(home.service.read_bytes())
    except (OSError, ValueError):
        return None
    if processes.running(record):
        return {"keep": True} | (record if "models" in record else record | {"models": [record["model"]]})  # as an older release wrote it
    home.service.unlink(missing_ok=True)
    return None


def check_models(record: Mapping[str, Any], models: Sequence[str]) -> None:
    """Errors: SetupError when a service that is up lacks one of the models."""
    if missing := [model for model in models if model not in record["models"]]:
        has = " and ".join(record["models"])
        hint = f"seatrial serve down; seatrial serve up {shlex.join(dict.fromkeys([*record['models'], *models]))}"
        raise SetupError(f"the service that is up serves {has}, not {missing[0]}", where=record["url"], hint=hint)


def stop_service(home: Home) -> bool:
    """End a kept service; False when none was up."""
    record = read_service(home)
    if record is None:
        return False
    processes.stop_session(record["pid"])
    home.service.unlink(missing_ok=True)
    return True


def get_json(url: str, timeout: float = 5) -> tuple[int, Any]:
    """GET from the service: (status, its JSON or None); status 0 when nothing answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=authorization()), timeout=timeout) as answer:
            status, body = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, None
    except OSError:
        return 0, None
    try:
        return status, json.loads(body)
    except ValueError:
        return status, None


def check_port_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            hint = f"stop what listens there, or choose another: --set targets.local.port={port + 1}"
            raise SetupError(f"port {port} is in use", where="127.0.0.1", hint=hint) from error


def _await_free(port: int) -> None:
    """What ran in a Ray that was killed notices within seconds; until then its proxy holds the port."""
    deadline = time.monotonic() + _LET_GO
    while True:
        try:
            return check_port_free(port)
        except SetupError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _start_failed(log: Path, code: int) -> RunError | SetupError:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    kind = SetupError if code == SetupError.exit_code else RunError
    told, hint = lines[-1] if lines else f"ended with exit code {code}", ""
    if told.strip().startswith("next:") and len(lines) > 1:
        told, hint = lines[-2], told.strip().removeprefix("next:").strip()
    return kind(told, where=str(log), hint=hint or "this log has more")
