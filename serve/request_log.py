"""One JSON line per answered request, written by a thread, a few times a second. Off unless asked for.

    SEATRIAL_REQUEST_LOG           "-" for standard error, or a file, which starts anew at 64 MiB and keeps one predecessor (FILE.1)
    SEATRIAL_REQUEST_LOG_SAMPLE    share of requests, by hash of their id, 0 to 1 (1); answers of class 5xx are always logged

A line: {"time", "request_id", "method", "path", "status", "milliseconds", "rows", "model", "version", "bytes", "client"}: time in seconds
since 1970, and the name of the client's key, where there are keys, never the key itself.
Lines that do not fit into memory are dropped and counted in the next line that does.
"""

from __future__ import annotations

import os
import sys
import threading
import zlib
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import msgspec

from jobs.contracts.errors import SetupError

FILE, SAMPLE = "SEATRIAL_REQUEST_LOG", "SEATRIAL_REQUEST_LOG_SAMPLE"
LIMIT = 64 << 20  # bytes of one file
_WAITING = 20_000  # lines in memory
_SECONDS = 0.2  # between two writes

_encode_lines = msgspec.json.Encoder().encode_lines


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    time: float
    request_id: str
    method: str
    path: str
    status: int
    milliseconds: float
    rows: int = 0
    model: str = ""
    version: str = ""
    bytes: int = 0
    client: str = ""
    dropped: int = 0


class RequestLog:
    """``file``: "-" or a path. :meth:`put` is for the event loop alone and takes a microsecond."""

    def __init__(self, file: str, *, sample: float = 1.0, limit: int = LIMIT) -> None:
        self._file, self._limit = file, limit
        self._threshold = int(sample * 2**32)
        self._lines: deque[Line] = deque()
        self._dropped = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def wants(self, request_id: str, status: int) -> bool:
        return status >= 500 or self._threshold >= 2**32 or zlib.crc32(request_id.encode()) < self._threshold

    def put(self, line: Line) -> None:
        if len(self._lines) >= _WAITING:
            self._dropped += 1
            return
        line.dropped, self._dropped = self._dropped, 0
        self._lines.append(line)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._write_forever, daemon=True, name="request-log")
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=5)
        self.flush()

    def flush(self) -> None:
        """Write what waits. A disk that is full loses lines, never requests."""
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if not lines:
            return
        text = _encode_lines(lines)
        try:
            self._write(text)
        except OSError:
            self._dropped += len(lines)

    def _write(self, text: bytes) -> None:
        if self._file == "-":
            sys.stderr.buffer.write(text)
            sys.stderr.buffer.flush()
            return
        path = Path(self._file)
        with path.open("ab") as stream:  # one write of whole lines, so that replicas may share a file
            stream.write(text)
            size = stream.tell()
        if size > self._limit:
            path.replace(path.with_name(path.name + ".1"))

    def _write_forever(self) -> None:
        while not self._stop.wait(_SECONDS):
            self.flush()


def from_environment(environment: Mapping[str, str] = os.environ) -> RequestLog | None:
    """Errors: SetupError for a share that is none."""
    file = environment.get(FILE, "")
    if not file:
        return None
    try:
        sample = float(environment.get(SAMPLE) or 1)
    except ValueError:
        sample = -1
    if not 0 <= sample <= 1:
        raise SetupError("must be a number from 0 to 1", where=SAMPLE, hint="0.01 logs one request in a hundred")
    return RequestLog(file, sample=sample)
