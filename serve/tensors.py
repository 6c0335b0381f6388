"""Tensors of the Open Inference Protocol to columns, from JSON and from Triton's binary extension.

Source: github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md. Numbers are little-endian and stand one after the
other; every element of BYTES has its length before it, 4 bytes little-endian. NaN, like null in JSON, means that a number is not known.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from jobs.contracts.bundle import InputField
from serve.answers import Refused, check_rows
from serve.rows import nearest, not_json

_EXACT = 1 << 53  # the largest integer up to which a double holds every one
_FLOATS = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2"}
_INTEGERS = {f"{sign}INT{bits}": f"<{sign.lower() or 'i'}{bits // 8}" for sign in ("", "U") for bits in (64, 32, 16, 8)}
_NUMBERS = {name: np.dtype(code) for name, code in (_FLOATS | _INTEGERS).items()}

_Integer = Annotated[int, msgspec.Meta(ge=-_EXACT, le=_EXACT)] | None
_ITEMS: dict[str, dict[str, Any]] = {
    "number": dict.fromkeys(_FLOATS, float | None) | dict.fromkeys(_INTEGERS, _Integer),
    "category": {"BYTES": str | None},
    "text": {"BYTES": str | None},
}
_FLAT = {kind: {name: msgspec.json.Decoder(list[item]) for name, item in items.items()} for kind, items in _ITEMS.items()}  # type: ignore[valid-type]
_NESTED = {kind: {name: msgspec.json.Decoder(list[tuple[item]]) for name, item in items.items()} for kind, items in _ITEMS.items()}  # type: ignore[valid-type]
_LENGTH = struct.Struct("<I")


class TensorParameters(msgspec.Struct, gc=False):
    binary_data_size: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    parameters: TensorParameters | None = None

    @property
    def binary_size(self) -> int | None:
        return self.parameters.binary_data_size if self.parameters else None


def columns_of(tensors: Sequence[Tensor], inputs: Sequence[InputField], tail: memoryview) -> tuple[dict[str, Any], int]:
    """Tensors, in any order, to columns in schema order (lists or arrays of numbers), and their common number of rows.

    ``tail``: the bytes after the JSON part, in the order of the tensors that announce some.
    Errors: Refused 400 that names the tensor, 413 for too many rows.
    """
    given = {tensor.name: tensor for tensor in tensors}
    names = [field.name for field in inputs]
    for name in given:
        if name not in names:
            raise Refused(400, f"unknown input {name!r}{nearest(name, names)}")
    if missing := [name for name in names if name not in given]:
        raise Refused(400, f"input {missing[0]!r} is missing: send one tensor per input, with null where a value is not known")
    if len(given) < len(tensors):
        raise Refused(400, "an input is given twice")
    rows, parts = _rows(given[names[0]]) if names else 0, _parts(tensors, tail)
    return {field.name: _column(given[field.name], field.kind, rows, parts) for field in inputs}, rows


def _parts(tensors: Sequence[Tensor], tail: memoryview) -> dict[str, memoryview]:
    parts, start = {}, 0
    for tensor in tensors:
        if (size := tensor.binary_size) is not None:
            parts[tensor.name] = tail[start : start + size]
            start += size
    if start != len(tail):
        raise Refused(400, f"the binary tensors announce {start} bytes, {len(tail)} follow the JSON part")
    return parts


def _rows(tensor: Tensor) -> int:
    if not tensor.shape or min(tensor.shape) < 0 or len(tensor.shape) > 2 or tensor.shape[1:] not in ([], [1]):
        raise Refused(400, f"input {tensor.name!r}: shape must be [n] or [n, 1], got {tensor.shape}")
    check_rows(tensor.shape[0])
    return tensor.shape[0]


def _column(tensor: Tensor, kind: str, rows: int, parts: dict[str, memoryview]) -> list[Any] | NDArray[Any]:
    if _rows(tensor) != rows:
        raise Refused(400, f"input {tensor.name!r} has {tensor.shape[0]} rows, the first input has {rows}")
    if tensor.datatype not in _ITEMS[kind]:
        raise Refused(400, f"input {tensor.name!r}: datatype must be one of {', '.join(_ITEMS[kind])}, got {tensor.datatype!r}")
    if tensor.name in parts:
        return _binary(tensor, kind, parts[tensor.name])
    values = _values(tensor, kind)
    if len(values) != rows:
        raise Refused(400, f"input {tensor.name!r}: shape {tensor.shape} says {math.prod(tensor.shape)} values, data has {len(values)}")
    return values


def _values(tensor: Tensor, kind: str) -> list[Any]:
    """``data`` as a flat list; a [n, 1] tensor may also be nested, [[1], [2]]."""
    if isinstance(tensor.data, msgspec.UnsetType):
        raise Refused(400, f"input {tensor.name!r}: data is missing")
    try:
        return _FLAT[kind][tensor.datatype].decode(tensor.data)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        if len(tensor.shape) == 2:
            try:
                return [value for (value,) in _NESTED[kind][tensor.datatype].decode(tensor.data)]
            except msgspec.ValidationError:
                pass
        raise Refused(400, f"input {tensor.name!r}: data: {str(error).replace('`$', '`data')}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None


def _binary(tensor: Tensor, kind: str, part: memoryview) -> list[Any] | NDArray[Any]:
    if not isinstance(tensor.data, msgspec.UnsetType):
        raise Refused(400, f"input {tensor.name!r}: either data or binary_data_size, not both")
    if kind != "number":
        return _texts(tensor, part)
    dtype = _NUMBERS[tensor.datatype]
    if len(part) != tensor.shape[0] * dtype.itemsize:
        raise Refused(
            400, f"input {tensor.name!r}: {tensor.shape[0]} values of {tensor.datatype} take {tensor.shape[0] * dtype.itemsize} bytes, got {len(part)}"
        )
    values = np.frombuffer(part, dtype)
    if dtype.itemsize == 8 and dtype.kind != "f" and ((values > _EXACT) | (values < (-_EXACT if dtype.kind == "i" else 0))).any():
        raise Refused(400, f"input {tensor.name!r}: an integer must lie within ±2^53")
    return values


def _texts(tensor: Tensor, part: memoryview) -> list[str]:
    rows = tensor.shape[0]
    joined = _of_one_length(part, rows)
    if joined is None:
        joined = b"\0".join(_elements(tensor, part))
    try:
        texts = joined.decode().split("\0") if rows else []
        # A text may hold the separator itself; then one by one.
        return texts if len(texts) == rows else [element.decode() for element in _elements(tensor, part)]
    except UnicodeDecodeError:
        raise Refused(400, f"input {tensor.name!r}: an element is not UTF-8") from None


def _of_one_length(part: memoryview, rows: int) -> bytes | None:
    """The elements, joined by NUL, where all have the same length, as codes have; None otherwise."""
    if not rows or len(part) % rows or len(part) < 4 * rows:
        return None
    table = np.frombuffer(part, np.uint8).reshape(rows, -1)
    length = table.shape[1] - 4
    if not (table[:, :4].copy().view("<u4") == length).all():
        return None
    joined = np.zeros((rows, length + 1), np.uint8)
    joined[:, :length] = table[:, 4:]
    return joined.tobytes()[:-1]


def _elements(tensor: Tensor, part: memoryview) -> list[bytes]:
    data, elements, place = bytes(part), [], 0
    unpack = _LENGTH.unpack_from
    try:
        for _ in range(tensor.shape[0]):
            start = place + 4
            place = start + unpack(data, place)[0]
            elements.append(data[start:place])
    except struct.error:
        place = -1
    if place != len(data):
        raise Refused(400, f"input {tensor.name!r}: its {len(data)} bytes are not {tensor.shape[0]} elements, each after its length")
    return elements
