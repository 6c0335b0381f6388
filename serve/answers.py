"""HTTP answers, refusals and bounded request bodies: the little that this application needs of HTTP."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]

MAX_BODY = 16 << 20  # bytes, also after decompression, unless SEATRIAL_SERVE_BODY_MIB says otherwise
MAX_ROWS = 10_000  # in one request
JSON, HTML, TEXT = b"application/json", b"text/html; charset=utf-8", b"text/plain; charset=utf-8"
_WINDOWS = {b"gzip": 31, b"deflate": 15}  # zlib's numbers; what HTTP calls deflate is zlib's own format

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
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


def kind_of(headers: Mapping[bytes, bytes]) -> bytes:
    """The declared media type without its parameters, in lower case; empty when there is none."""
    kind = headers.get(b"content-type", b"")
    return kind if kind == JSON else kind.partition(b";")[0].strip().lower()


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, most: int = MAX_BODY) -> bytes:
    """The whole body, at most ``most`` bytes, decompressed where it is declared to be gzip or deflate.

    Errors: Refused 413 when it is larger, 415 for another encoding, 400 for one that does not decompress; Gone.
    """
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and len(declared) < 20 and int(declared) > most:
        raise _too_large(most)
    message = await receive()
    body = message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise Gone
    if message.get("more_body", False):
        body = await _rest(body, receive, most)
    if len(body) > most:
        raise _too_large(most)
    encoding = headers.get(b"content-encoding")
    return body if encoding is None else _decompress(body, encoding.strip().lower(), most)


async def _rest(first: bytes, receive: Receive, most: int) -> bytes:
    parts, size, more = [first], len(first), True
    while more:
        if size > most:
            raise _too_large(most)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
    return b"".join(parts)


def _decompress(body: bytes, encoding: bytes, most: int) -> bytes:
    if encoding == b"identity":
        return body
    if encoding not in _WINDOWS:
        raise Refused(415, "content-encoding must be gzip or deflate, or left out")
    stream = zlib.decompressobj(_WINDOWS[encoding])
    try:
        plain = stream.decompress(body, most + 1)
    except zlib.error as error:
        raise Refused(400, f"the body does not decompress: {error}") from None
    if len(plain) > most:
        raise _too_large(most)
    if not stream.eof:
        raise Refused(400, "the body does not decompress: it ends too early")
    return plain


def check_rows(rows: int) -> None:
    """Errors: Refused 413 when one request carries more than :data:`MAX_ROWS` rows."""
    if rows > MAX_ROWS:
        raise Refused(413, f"{rows:,} rows in one request; at most {MAX_ROWS:,} are accepted, so send several requests")


async def send_answer(send: Send, answer: Answer, headers: Headers = (), *, body: bool = True) -> None:
    """Send the whole answer; ``body=False`` answers HEAD."""
    length = b"%d" % len(answer.body)
    start = [(b"content-type", answer.kind), (b"content-length", length), *answer.headers, *headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": start})
    await send({"type": "http.response.body", "body": answer.body if body else b""})


def _too_large(most: int) -> Refused:
    return Refused(413, f"the body is larger than {most >> 20} MiB: send fewer rows in each request")
