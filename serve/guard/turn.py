"""How long a request has waited for the event loop.

A loop reads what all its connections sent and then handles one request after the other. The first of a turn waits for nobody; one that is
far down the line has waited for all before it, and while it is answered the next line gathers. So the time since the turn began tells an
overload from the first request that suffers, at the price of one scheduled call per turn.
"""

from __future__ import annotations

import asyncio
import time


class Turn:
    def __init__(self) -> None:
        self._began = 0.0

    def waited(self) -> float:
        """Seconds since this turn of the loop began. On the loop alone."""
        now = time.perf_counter()
        if not self._began:
            self._began = now
            asyncio.get_running_loop().call_soon(self._end)  # runs after all that is ready now
            return 0.0
        return now - self._began

    def _end(self) -> None:
        self._began = 0.0
