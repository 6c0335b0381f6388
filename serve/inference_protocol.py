"""The Open Inference Protocol, version 2, over REST: tensors in, probabilities out.

Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md. One input tensor per
feature column, shape [n] or [n, 1]; the output tensor is "probability", FP32 [n]. Beyond the protocol, null in a
tensor's data means that the value is not known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from jobs.contracts.bundle import InputField
from serve.answers import Answer, Refused, check_rows, json_answer
from serve.model import LoadedModel
from serve.rows import ARROW_TYPES, nearest, not_json

OUTPUT = "probability"
PLATFORM = "onnx_onnxv1"
DATATYPES = {"number": "FP64", "category": "BYTES"}  # as announced; other numeric types are accepted too
_EXACT = 1 << 53  # the largest integer up to which a double holds every one

_Integer = Annotated[int, msgspec.Meta(ge=-_EXACT, le=_EXACT)] | None
_READERS: dict[str, dict[str, Any]] = {
    "number": dict.fromkeys(("FP64", "FP32", "FP16"), float | None)
    | dict.fromkeys(("INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8"), _Integer),
    "category": {"BYTES": str | None},
}
_FLAT = {kind: {name: msgspec.json.Decoder(list[item]) for name, item in items.items()} for kind, items in _READERS.items()}  # type: ignore[valid-type]
_NESTED = {kind: {name: msgspec.json.Decoder(list[tuple[item]]) for name, item in items.items()} for kind, items in _READERS.items()}  # type: ignore[valid-type]


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: msgspec.Raw


class _WantedOutput(msgspec.Struct):
    name: str


class _Request(msgspec.Struct):
    inputs: list[_Tensor]
    id: str | None = None
    outputs: list[_WantedOutput] | None = None


_decode = msgspec.json.Decoder(_Request).decode


def infer(model: LoadedModel, body: bytes) -> Answer:
    """Answer ``POST /v2/models/{name}/infer``.

    Errors: Refused 400 that names the tensor, 413 for too many rows.
    """
    request = _parse(body)
    for output in request.outputs or ():
        if output.name != OUTPUT:
            raise Refused(400, f"unknown output {output.name!r}: the model has {OUTPUT!r}")
    columns, rows = _columns(request.inputs, model.bundle.inputs)
    answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if request.id is not None:
        answer["id"] = request.id
    answer["parameters"] = {"bundle": model.fingerprint}
    answer["outputs"] = [{"name": OUTPUT, "datatype": "FP32", "shape": [rows], "data": model.score(columns, rows).tolist()}]
    return json_answer(answer)


def metadata(model: LoadedModel) -> Answer:
    """Answer ``GET /v2/models/{name}``; ``versions`` holds the live version alone."""
    inputs = [{"name": field.name, "datatype": DATATYPES[field.kind], "shape": [-1]} for field in model.bundle.inputs]
    outputs = [{"name": OUTPUT, "datatype": "FP32", "shape": [-1]}]
    parameters = {"bundle": model.fingerprint, "output": model.bundle.output, "threshold": model.bundle.threshold}
    return json_answer({"name": model.name, "versions": [model.version], "platform": PLATFORM, "inputs": inputs, "outputs": outputs, "parameters": parameters})


def _parse(body: bytes) -> _Request:
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        raise Refused(400, f"not an inference request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None


def _columns(tensors: Sequence[_Tensor], inputs: Sequence[InputField]) -> tuple[dict[str, pa.Array], int]:
    """Tensors, in any order, to Arrow columns in schema order, and their common number of rows."""
    given = {tensor.name: tensor for tensor in tensors}
    names = [field.name for field in inputs]
    for name in given:
        if name not in names:
            raise Refused(400, f"unknown input {name!r}{nearest(name, names)}")
    if missing := [name for name in names if name not in given]:
        raise Refused(400, f"input {missing[0]!r} is missing: send one tensor per input, with null where a value is not known")
    if len(given) < len(tensors):
        raise Refused(400, "an input is given twice")
    rows = _rows(given[names[0]])
    return {field.name: _column(given[field.name], field.kind, rows) for field in inputs}, rows


def _rows(tensor: _Tensor) -> int:
    if not tensor.shape or min(tensor.shape) < 0 or len(tensor.shape) > 2 or tensor.shape[1:] not in ([], [1]):
        raise Refused(400, f"input {tensor.name!r}: shape must be [n] or [n, 1], got {tensor.shape}")
    check_rows(tensor.shape[0])
    return tensor.shape[0]


def _column(tensor: _Tensor, kind: str, rows: int) -> pa.Array:
    if _rows(tensor) != rows:
        raise Refused(400, f"input {tensor.name!r} has {tensor.shape[0]} rows, the first input has {rows}")
    if tensor.datatype not in _READERS[kind]:
        raise Refused(400, f"input {tensor.name!r}: datatype must be one of {', '.join(_READERS[kind])}, got {tensor.datatype!r}")
    values = _values(tensor, kind)
    if len(values) != math.prod(tensor.shape):
        raise Refused(400, f"input {tensor.name!r}: shape {tensor.shape} says {rows} values, data has {len(values)}")
    return pa.array(values, ARROW_TYPES[kind])


def _values(tensor: _Tensor, kind: str) -> list[Any]:
    """``data`` as a flat list; a [n, 1] tensor may also be nested, [[1], [2]]."""
    try:
        return _FLAT[kind][tensor.datatype].decode(tensor.data)
    except msgspec.ValidationError as error:
        if len(tensor.shape) == 2:
            try:
                return [value for (value,) in _NESTED[kind][tensor.datatype].decode(tensor.data)]
            except msgspec.ValidationError:
                pass
        raise Refused(400, f"input {tensor.name!r}: data: {str(error).replace('`$', '`data')}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None
