"""Cross-origin requests (fetch.spec.whatwg.org): pages of which other web sites may ask this service. None by default.

A page of ours needs none of it. Answers are never marked as allowing credentials: a key is sent by hand, and cookies there are none.
"""

from __future__ import annotations

from collections.abc import Mapping

from serve.answers import Answer, Headers

_ASKED = b"content-type, authorization, x-request-id, content-encoding, inference-header-content-length"
_SHOWN = b"x-request-id, x-seatrial-model-version, x-seatrial-bundle, inference-header-content-length, retry-after"
_AGE = b"600"  # seconds for which a browser remembers


class Origins:
    def __init__(self, allowed: str) -> None:
        self._all = allowed == "*"
        self._allowed = frozenset(each.strip().encode() for each in allowed.split(",") if each.strip())

    def headers(self, headers: Mapping[bytes, bytes]) -> Headers:
        """What every answer to this request says about its origin."""
        if self._all:
            return ((b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _SHOWN))
        vary = (b"vary", b"origin")
        origin = headers.get(b"origin")
        if origin not in self._allowed:
            return (vary,)
        return ((b"access-control-allow-origin", origin), (b"access-control-expose-headers", _SHOWN), vary)  # type: ignore[return-value]

    def preflight(self, method: str, headers: Mapping[bytes, bytes]) -> Answer | None:
        """The answer to a browser that asks before it asks; None for every other request. A browser stops where it allows nothing."""
        if method != "OPTIONS" or b"access-control-request-method" not in headers:
            return None
        return Answer(
            b"", 204, headers=((b"access-control-allow-methods", b"GET, POST"), (b"access-control-allow-headers", _ASKED), (b"access-control-max-age", _AGE))
        )
