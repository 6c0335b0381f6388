"""One host's part of a Ray: ``ray start --block`` as a child, and the end of everything it started."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cloud.containers.stopping import Stopping
from jobs.contracts.errors import RunError

OBJECT_STORE = 200 << 20  # bytes; data travel as Parquet and bundles, so Ray's store holds next to nothing
_SHORT = 30  # characters of a temporary folder's path that leave room for Ray's sockets below it
_STARTED = b"Ray runtime started"
_END = 10.0  # seconds until killed processes must be gone


class RayNode:
    """Use as a context: at its end every process and file of this node is gone."""

    def __init__(self, arguments: Sequence[str], address: str, cores: int, token: str, environment: Mapping[str, str]) -> None:
        self.began = time.monotonic()
        usual = tempfile.gettempdir()
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir=usual if len(usual) < _SHORT else "/tmp"))  # noqa: S108
        self._log = self._folder / "start.log"
        secret = self._folder / "token"
        secret.touch(0o600)
        secret.write_text(token)
        self.client_variables = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(secret), "RAY_COLOR_PREFIX": "0"}
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *arguments, f"--node-ip-address={address}", f"--num-cpus={cores}"]
        command += [f"--temp-dir={self._folder}", f"--object-store-memory={OBJECT_STORE}", "--min-worker-port=0", "--max-worker-port=0"]
        command += ["--disable-usage-stats", "--log-color=false", "--block"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, env=self._variables(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        wanted = {name: value for name, value in environment.items() if name not in ("RAY_ADDRESS", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "RAY_AUTH_TOKEN")}
        wanted.setdefault("RAY_worker_niceness", "0")  # Ray's 15 lets everything else on the machine go first
        return {**wanted, **self.client_variables}

    def __enter__(self) -> RayNode:
        return self

    def __exit__(self, *error: object) -> None:
        _kill(self._process)
        for _ in range(20):
            shutil.rmtree(self._folder, ignore_errors=True)
            if not self._folder.exists():
                return
            time.sleep(0.1)

    def has_started(self) -> bool:
        with suppress(OSError):
            return _STARTED in self._log.read_bytes()
        return False

    def check(self) -> None:
        """Errors: RunError when it has ended."""
        if self._process.poll() is not None:
            raise RunError(f"Ray ended with {self._process.returncode}: {self._last_lines()}", where="ray start", hint="read the log of this host")

    def wait(self, until: Callable[[], bool], patience: float, stopping: Stopping) -> None:
        """Errors: RunError when it ends instead, or takes too long."""
        while not until() and not stopping.asked.is_set():
            self.check()
            if time.monotonic() - self.began > patience:
                raise RunError(f"Ray did not start within {patience:.0f} s: {self._last_lines()}", where="ray start", hint="read the log of this host")
            time.sleep(0.1)

    def joins(self, patience: float, stopping: Stopping) -> bool:
        """Wait until this node belongs to the head's Ray; False when the head turned out to be another, or is gone."""
        try:
            self.wait(self.has_started, patience, stopping)
        except RunError as error:
            print(error, file=sys.stderr, flush=True)
            return False
        return self.has_started()

    def _last_lines(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").strip().splitlines()[-5:])


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process and all below it. Its own SIGTERM would wait up to 30 s for a head that may be gone."""
    import psutil

    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        root = psutil.Process(process.pid)
        root.suspend()  # it must not start again what is killed
        family = [root, *root.children(recursive=True)]
    for each in family:
        with suppress(psutil.Error):
            each.kill()
    process.wait()
    psutil.wait_procs(family, timeout=_END)


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def interface(resources: Mapping[str, object], environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The network that collective operations use: the one that the cloud names, unless it is this machine's own loop."""
    name = str(resources.get("network_interface_name", ""))
    wanted = {} if name in ("", "lo") else {"GLOO_SOCKET_IFNAME": name, "NCCL_SOCKET_IFNAME": name}
    return {key: value for key, value in wanted.items() if key not in environment}
