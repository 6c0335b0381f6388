"""What every request passes before anything is read of it: its key, its client's rate, and the replica's load."""

from __future__ import annotations

import math
from collections.abc import Mapping

from serve.answers import Refused, Scope, unavailable
from serve.guard.keys import Keys
from serve.guard.rate import Rate
from serve.guard.settings import GuardSettings
from serve.guard.turn import Turn
from serve.metrics import Metrics

# Probes and scrapers have no key, and must hear from a replica that is busy. The page is a shell: what it shows it asks for with a key.
OPEN = frozenset(("/v2/health/live", "/v2/health/ready", "/ping", "/metrics", "/", "/docs", "/page.js", "/page.css"))
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="seatrial"'),)


class Door:
    """For one application. Costs a request two microseconds where neither keys nor a rate are set."""

    def __init__(self, settings: GuardSettings, metrics: Metrics) -> None:
        self.keys = Keys(settings.keys) if settings.keys else None
        self._rate = Rate(settings.rate, settings.burst or 2 * settings.rate) if settings.rate else None
        self._proxies, self._metrics = settings.proxies, metrics
        self._turn, self._wait = Turn(), settings.wait_ms / 1e3

    def admit(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """The name of the client's key; empty where there are no keys.

        Errors: Refused 401 without a valid key, 429 beyond the rate, 503 when the request has waited too long already.
        """
        if self._turn.waited() > self._wait:
            self._metrics.refuse("wait")
            raise unavailable("the service is busy: send the request once more")
        if self.keys is None and self._rate is None:
            return ""
        name = self.keys.owner(_presented(headers)) if self.keys else ""
        if self._rate:
            self._hold(self._rate, f"key {name}" if name else self._address(scope, headers))
        if self.keys and not name:
            raise Refused(401, "a key is needed: send the header authorization: Bearer KEY", _CHALLENGE)
        return name

    def _hold(self, rate: Rate, client: str) -> None:
        if seconds := rate.wait(client):
            self._metrics.refuse("rate")
            whole = math.ceil(seconds)
            raise Refused(429, f"too many requests: wait {whole} s", ((b"retry-after", b"%d" % whole),))

    def _address(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """Of the client, as the outermost proxy that is trusted saw it."""
        if self._proxies:
            seen = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
            if len(seen) >= self._proxies and (address := seen[-self._proxies].strip()):
                return address[:64]
        client = scope.get("client")
        return str(client[0]) if client else "unknown"


def _presented(headers: Mapping[bytes, bytes]) -> bytes:
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""
