"""A group that is running: its lines, its limits, and its end, which is one for all hosts."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from cloud.practice.hosts.group import Ended, Host, HostGroup, Reason
from cloud.practice.hosts.isolation import Isolation
from jobs.contracts.limits import memory_used

logger = logging.getLogger(__name__)

_INIT = Path(__file__).with_name("init.py")
_LINE = 64 * 1024  # bytes; a longer line (or a progress bar without an end) comes in pieces
_LOOK = 0.02  # seconds between two looks at the hosts
_MEMORY_LOOK = 1.0  # seconds: reading the maps of large processes costs milliseconds each
_TERM, _KILL = b"T", b"K"

OnLine = Callable[[str, str], None]  # host, line


class Run:
    """Use :meth:`wait`, :meth:`stop` and :meth:`kill` from any thread."""

    def __init__(self, group: HostGroup, isolation: Isolation, on_line: OnLine, cores: list[list[int]], done: Callable[[Run], None]) -> None:
        self.group = group
        self._isolation, self._on_line, self._cores, self._done = isolation, on_line, cores, done
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._readers: list[threading.Thread] = []
        self._temporary: list[str] = []
        self._complained = False
        self._reason: Reason = "exited"
        self._failed = ""
        self._kill_at = float("inf")
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._ended: Ended | None = None

    def begin(self) -> None:
        """Start the processes and the thread that watches them; called by the executor, once."""
        try:
            for host, cores in zip(self.group.hosts, self._cores, strict=True):
                self._start(host, cores)
        except BaseException:
            self.kill()
            raise
        finally:  # also of a group that began in part: somebody must wait for what was started
            threading.Thread(target=self._watch, name=f"run {self.group.name}", daemon=True).start()

    def _start(self, host: Host, cores: list[int]) -> None:
        host.folder.mkdir(parents=True, exist_ok=True)
        host.log.parent.mkdir(parents=True, exist_ok=True)
        document = self._isolation.document(host, self.group, cores)
        self._temporary.append(document["temporary"])
        command = [*self._isolation.prefix, sys.executable, "-I", "-S", str(_INIT)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self._processes[host.name] = process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(document).encode() + b"\n")
        process.stdin.flush()
        reader = threading.Thread(target=self._read, args=(host, process.stdout), name=f"log {self.group.name} {host.name}", daemon=True)
        reader.start()
        self._readers.append(reader)

    def _read(self, host: Host, stream: IO[bytes]) -> None:
        with host.log.open("ab") as log, stream:
            while line := stream.readline(_LINE):
                log.write(line)
                log.flush()
                try:
                    self._on_line(host.name, line.decode(errors="replace").rstrip("\r\n"))
                except Exception:  # a defect of the listener: the job goes on, and would stand still with nobody to read its pipe
                    if not self._complained:
                        self._complained = True
                        logger.exception("a line of %s, host %s, and perhaps later ones", self.group.name, host.name)

    def _watch(self) -> None:
        started = looked = time.monotonic()
        limits = self.group.limits
        while any(process.poll() is None for process in self._processes.values()):
            now = time.monotonic()
            self._look_at_ends()
            if limits.seconds and now - started > limits.seconds:
                self._stop("time", limits.grace)
            if limits.memory and now - looked > _MEMORY_LOOK:
                looked = now
                self._look_at_memory(limits.memory)
            if now > self._kill_at:
                self.kill()
            time.sleep(_LOOK)
        self._look_at_ends()
        for reader in self._readers:
            reader.join(5)
        for process in self._processes.values():
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]
        for folder in self._temporary:
            shutil.rmtree(folder, ignore_errors=True)
        codes = {name: _code(process.returncode) for name, process in self._processes.items()}
        with self._lock:
            self._ended = Ended(codes, self._reason, self._failed)
        self._done(self)
        self._over.set()

    def _look_at_ends(self) -> None:
        """One failed host ends the group, and so does a leader that is done."""
        if self._kill_at < float("inf"):
            return
        for name, process in self._processes.items():
            code = process.poll()
            if code:
                self._failed = name
            if code or (code == 0 and name == self.group.leader):
                self._stop("exited", self.group.limits.grace)
                return

    def _look_at_memory(self, limit: int) -> None:
        for process in self._processes.values():
            if process.poll() is None and memory_used(process.pid) > limit * 2**20:
                self._begin_to_end("memory", 0)
                self.kill()

    @property
    def is_alive(self) -> bool:
        return not self._over.is_set()

    def wait(self, timeout: float | None = None) -> Ended | None:
        """How the group ended, or None if it has not within ``timeout`` seconds. All lines were delivered by then."""
        self._over.wait(timeout)
        return self._ended

    def stop(self, grace: float | None = None) -> None:
        """SIGTERM to every host's command, SIGKILL after ``grace`` seconds (default: the group's); returns at once."""
        self._stop("stopped", self.group.limits.grace if grace is None else grace)

    def _stop(self, reason: Reason, grace: float) -> None:
        if self._begin_to_end(reason, grace):
            self._send(_TERM)

    def _begin_to_end(self, reason: Reason, grace: float) -> bool:
        """Whether this is the first reason to end; later ones change nothing."""
        with self._lock:
            if self._kill_at < float("inf"):
                return False
            self._kill_at, self._reason = time.monotonic() + grace, reason
            return True

    def kill(self, host: str = "") -> None:
        """SIGKILL to one host (as if its machine were lost) or to all; returns at once."""
        if not host:
            self._begin_to_end("stopped", 0)
        self._send(_KILL, host)

    def _send(self, word: bytes, host: str = "") -> None:
        for name, process in self._processes.items():
            if host in ("", name) and process.poll() is None and process.stdin:
                with suppress(OSError, ValueError), self._lock:  # it has just ended
                    process.stdin.write(word)
                    process.stdin.flush()


def _code(returncode: int) -> int:
    return returncode if returncode >= 0 else 128 - returncode
