"""How often a client may ask: the generic cell rate algorithm (ITU-T I.371), one number per client."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST = 10_000  # clients that are told apart; what comes beyond shares one allowance until others have been quiet for a while
_REST = ""


class Rate:
    """``rate`` per second in the long run, ``burst`` at once. For the event loop alone."""

    def __init__(self, rate: float, burst: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause, self._clock = 1 / rate, clock
        self._slack = (max(burst, 1.0) - 1) / rate  # seconds by which a client may be early
        self._due: dict[str, float] = {}  # when each client's next request would be on time
        self._swept = 0.0

    def wait(self, client: str) -> float:
        """Seconds until this client may ask again; 0 = now, and this request counts."""
        now = self._clock()
        if client not in self._due and len(self._due) >= MOST:
            self._sweep(now)
            client = client if len(self._due) < MOST else _REST
        due = max(self._due.get(client, 0.0), now)
        if due - now > self._slack + 1e-9:
            return due - now - self._slack
        self._due[client] = due + self._pause
        return 0.0

    def _sweep(self, now: float) -> None:
        """Forget whoever may send a whole burst again. At most once a second, because it looks at all."""
        if now - self._swept >= 1:
            self._swept = now
            self._due = {client: due for client, due in self._due.items() if due > now}
