"""HTTP answers, refusals and bounded request bodies: the little that this application needs of HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

MAX_BODY = 16 << 20  # bytes
MAX_ROWS = 10_000  # in one request
JSON, HTML = b"application/json", b"text/html; charset=utf-8"

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Answer:
    """One whole response."""

    body: bytes
    status: int = 200
    kind: bytes = JSON
    headers: Headers = ()


class Refused(Exception):
    """A request that gets an error answer; the message names the field and says what was expected."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers

    @property
    def answer(self) -> Answer:
        return json_answer({"error": str(self)}, self.status, self.headers)


class Gone(Exception):
    """The client closed the connection before its request was complete: there is nobody to answer."""


def json_answer(value: Any, status: int = 200, headers: Headers = ()) -> Answer:
    return Answer(_encode(value), status, JSON, headers)


def unavailable(message: str) -> Refused:
    """The one deliberate 5xx: try again in a second."""
    return Refused(503, message, ((b"retry-after", b"1"),))


async def read_json_body(headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
    """The request's body, at most :data:`MAX_BODY` bytes of JSON text.

    Errors: Refused 413 when it is larger, 415 when it is declared to be something else; Gone.
    """
    _check_kind(headers)
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and len(declared) < 20 and int(declared) > MAX_BODY:
        raise _too_large()
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise _too_large()
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def check_rows(rows: int) -> None:
    """Errors: Refused 413 when one request carries more than :data:`MAX_ROWS` rows."""
    if rows > MAX_ROWS:
        raise Refused(413, f"{rows:,} rows in one request; at most {MAX_ROWS:,} are accepted, so send several requests")


async def send_answer(send: Send, answer: Answer, headers: Headers = (), *, body: bool = True) -> None:
    """Send the whole answer; ``body=False`` answers HEAD."""
    length = b"%d" % len(answer.body)
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(b"content-type", answer.kind), (b"content-length", length), *answer.headers, *headers],
        }
    )
    await send({"type": "http.response.body", "body": answer.body if body else b""})


def _check_kind(headers: Mapping[bytes, bytes]) -> None:
    kind = headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
    if kind != JSON:
        raise Refused(415, "the body must be JSON: send the header content-type: application/json")
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise Refused(415, "compressed bodies are not accepted: leave content-encoding out")
    if b"inference-header-content-length" in headers:
        raise Refused(415, "binary tensor data is not accepted: send tensors as JSON")


def _too_large() -> Refused:
    return Refused(413, f"the body is larger than {MAX_BODY >> 20} MiB: send fewer rows in each request")
