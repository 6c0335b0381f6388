"""A load generator: keep-alive connections that send one prepared request again and again, with as little Python between as possible.

Closed loop: each connection sends as soon as it has its answer. Open loop: requests are due at fixed times, whatever the server does, and
latency counts from the time a request was due (so a server that stalls cannot hide it; Tene, "coordinated omission").
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

_END = b"\r\n\r\n"


@dataclass
class Outcome:
    seconds: float
    latencies: list[float] = field(default_factory=list)  # seconds, of answers 200
    statuses: Counter[int] = field(default_factory=Counter)  # 0 = the connection broke

    @property
    def rate(self) -> float:
        """Answers 200 per second."""
        return self.statuses[200] / self.seconds

    def quantile(self, share: float) -> float:
        """Milliseconds."""
        return float(np.quantile(self.latencies, share) * 1e3) if self.latencies else float("nan")

    def __str__(self) -> str:
        others = {status: count for status, count in sorted(self.statuses.items()) if status != 200}
        text = f"{self.rate:8,.0f} /s   p50 {self.quantile(0.5):7.2f} ms   p99 {self.quantile(0.99):7.2f} ms"
        return text + (f"   others {others}" if others else "")


class Connection(asyncio.Protocol):
    """Sends ``request`` when told; ``answered`` hears (status, this connection)."""

    def __init__(self, run: Run) -> None:
        self._run, self._buffer, self._wanted = run, b"", -1
        self.due, self.waiting, self._last = 0.0, False, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._run.idle(self)

    def send(self, due: float) -> None:
        self.due, self.waiting = time.perf_counter() if self._run.from_sending else due, True
        self.transport.write(self._run.request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._wanted < 0:
            head = self._buffer.find(_END)
            if head < 0:
                return
            text = self._buffer[:head].lower()
            self._last = b"connection: close" in text  # the server says so before it goes; whoever sends on loses that request
            start = text.index(b"content-length:") + 15
            self._wanted = head + 4 + int(text[start : text.find(b"\r", start) if b"\r" in text[start:] else None])
        if len(self._buffer) >= self._wanted:
            status = int(self._buffer[9:12])
            self._buffer, self._wanted, self.waiting = b"", -1, False
            if self._last:
                self.transport.close()
            self._run.answered(status, self, free=not self._last)

    def connection_lost(self, error: Exception | None) -> None:
        self._run.lost(self)


class Run:
    """One measurement. ``rate``: requests per second in an open loop, 0 for a closed one. ``from_sending``: latency counts from there, for
    floods that the generator itself cannot keep up with."""

    def __init__(self, request: bytes, *, rate: float = 0, from_sending: bool = False) -> None:
        self.request, self._rate, self.from_sending = request, rate, from_sending
        self._free: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self.outcome = Outcome(0)
        self._begin = self._end = 0.0
        self._going = True
        self._address: tuple[str, int] = ("", 0)
        self._open: list[asyncio.BaseTransport] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def idle(self, connection: Connection) -> None:
        if not self._going:
            return
        if not self._rate:
            connection.send(time.perf_counter())
        elif self._due:
            connection.send(self._due.popleft())
        else:
            self._free.append(connection)

    def answered(self, status: int, connection: Connection, *, free: bool) -> None:
        now = time.perf_counter()
        if self._begin <= now < self._end:
            self.outcome.statuses[status] += 1
            if status == 200:
                self.outcome.latencies.append(now - connection.due)
        if free:
            self.idle(connection)

    def lost(self, connection: Connection) -> None:
        """A new connection in its place. A request that was under way has failed."""
        if not self._going:
            return
        if connection in self._free:
            self._free.remove(connection)
        if connection.waiting and self._begin <= time.perf_counter() < self._end:
            self.outcome.statuses[0] += 1
        task = asyncio.get_running_loop().create_task(self._connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        while self._going:
            try:
                transport, _ = await asyncio.get_running_loop().create_connection(lambda: Connection(self), *self._address)
                self._open.append(transport)
                return
            except OSError:
                await asyncio.sleep(0.05)

    async def go(self, host: str, port: int, connections: int, seconds: float, warm_up: float) -> Outcome:
        self._address = host, port
        started = time.perf_counter()
        self._begin, self._end = started + warm_up, started + warm_up + seconds
        for _ in range(connections):
            await self._connect()
        if self._rate:
            await self._tick(started)
        await asyncio.sleep(max(0.0, self._end - time.perf_counter()))
        self._going = False
        for transport in self._open:
            transport.close()
        self.outcome.seconds = seconds
        return self.outcome

    async def _tick(self, started: float) -> None:
        sent = 0
        while (now := time.perf_counter()) < self._end:
            while started + sent / self._rate <= now:
                due = started + sent / self._rate
                sent += 1
                if self._free:
                    self._free.popleft().send(due)
                else:
                    self._due.append(due)
            await asyncio.sleep(0.001)


def request_of(path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    given = {"host": "localhost", "content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def measure(url: str, request: bytes, *, connections: int, seconds: float, rate: float = 0, warm_up: float = 1.0, from_sending: bool = False) -> Outcome:
    """``url``: http://host:port."""
    import uvloop

    host, _, port = url.partition("://")[2].partition(":")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Run(request, rate=rate, from_sending=from_sending).go(host, int(port), connections, seconds, warm_up))
