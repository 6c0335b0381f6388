"""Clients that ask again and again, and repeat what was refused, as real ones do: for up to half a minute."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

_RETRIES = 12
_PAUSE = 0.25  # seconds before the first repetition; each waits that much longer
_LONGEST = 4.0


@dataclass
class Load:
    """``clients`` threads send ``body`` to ``/predict`` until the block ends. ``failed`` counts what no repetition saved."""

    port: int
    body: Any
    clients: int = 4
    answered: int = 0
    failed: int = 0
    retried: int = 0
    worst: float = 0.0  # seconds of the slowest answer, retries included
    errors: list[str] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _ask(self) -> None:
        data = json.dumps(self.body).encode()
        while not self._stop.is_set():
            started, error = time.monotonic(), ""
            for attempt in range(1 + _RETRIES):
                error = self._once(data)
                if not error:
                    break
                with self._lock:
                    self.retried += attempt < _RETRIES
                time.sleep(min(_LONGEST, _PAUSE * 2**attempt))
            with self._lock:
                self.answered += not error
                self.failed += bool(error)
                self.errors += [error] if error else []
                self.worst = max(self.worst, time.monotonic() - started)

    def _once(self, data: bytes) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/predict", data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            return "" if answer.status == 200 and b"predictions" in body else f"{answer.status} {body[:200]!r}"
        except OSError as error:
            return repr(error)
        except http.client.HTTPException as error:
            return repr(error)
        finally:
            connection.close()
