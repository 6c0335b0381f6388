"""Amazon's event stream encoding (vnd.amazon.eventstream), as far as one kind of event needs it. botocore only reads it.

A message: length of all, length of the headers, CRC of both; headers; payload; CRC of everything before. Numbers are big-endian,
32 bits. A header: length of the name, name, type 7 (text), length of the value in 16 bits, value.
"""

from __future__ import annotations

import struct
from binascii import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_TEXT = 7
_AROUND = 16  # bytes of a message that are neither headers nor payload


def payload_part(data: bytes) -> bytes:
    """One ``PayloadPart`` event of InvokeEndpointWithResponseStream."""
    return message({":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"}, data)


def message(headers: dict[str, str], payload: bytes) -> bytes:
    packed = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = struct.pack(">II", _AROUND + len(packed) + len(payload), len(packed))
    before = prelude + struct.pack(">I", crc32(prelude)) + packed + payload
    return before + struct.pack(">I", crc32(before))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack(">B", len(name)) + name + struct.pack(">BH", _TEXT, len(value)) + value
