"""The Open Inference Protocol, version 2, over REST: tensors in, probabilities out.

Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md, with Triton's binary extension
(``serve.tensors``). One input tensor per feature column, shape [n] or [n, 1]; the output tensor is FP32: "probability" [n], or by the
model's task "probabilities" [n, classes] or "value" [n]. Beyond the protocol, null in a tensor's data means that the value is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serve.answers import JSON, Answer, Headers, Refused, json_answer, kind_of
from serve.model import LoadedModel, Tensors
from serve.rows import not_json
from serve.tensors import Tensor, columns_of

PLATFORM = "onnx_onnxv1"
EXTENSIONS = ("binary_tensor_data",)
DATATYPES = {"number": "FP64", "category": "BYTES", "text": "BYTES"}  # as announced; other numeric types are accepted too
BINARY = b"application/octet-stream"
HEADER_LENGTH = b"inference-header-content-length"


class _OutputParameters(msgspec.Struct):
    binary_data: bool | None = None
    classification: int = 0


class _WantedOutput(msgspec.Struct):
    name: str
    parameters: _OutputParameters | None = None


class _RequestParameters(msgspec.Struct):
    binary_data_output: bool = False


class _Request(msgspec.Struct):
    inputs: list[Tensor]
    id: str | None = None
    outputs: list[_WantedOutput] | None = None
    parameters: _RequestParameters | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """How the client wants its answer."""

    id: str | None
    binary: bool


_decode = msgspec.json.Decoder(_Request).decode


def read(model: LoadedModel, headers: Mapping[bytes, bytes], body: bytes) -> tuple[Tensors, Wish]:
    """The body of ``POST /v2/models/{name}/infer``.

    Errors: Refused 400 that names the tensor, 413 for too many rows, 415 for something else.
    """
    length = _header_length(headers, len(body))
    request = _parse(body if length == len(body) else memoryview(body)[:length])
    binary = bool(request.parameters and request.parameters.binary_data_output)
    for output in request.outputs or ():
        if output.name != model.scorer.task.output:
            raise Refused(400, f"unknown output {output.name!r}: the model has {model.scorer.task.output!r}")
        if output.parameters and output.parameters.classification:
            raise Refused(400, "the classification extension is not supported: ask for the output itself")
        if output.parameters and output.parameters.binary_data is not None:
            binary = output.parameters.binary_data
    columns, rows = columns_of(request.inputs, model.bundle.inputs, memoryview(body)[length:])
    return model.of_columns(columns, rows), Wish(request.id, binary)


def write(model: LoadedModel, probabilities: NDArray[np.float32], wish: Wish) -> Answer:
    answer: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if wish.id is not None:
        answer["id"] = wish.id
    answer["parameters"] = {"bundle": model.fingerprint}
    output: dict[str, Any] = {"name": model.scorer.task.output, "datatype": "FP32", "shape": list(probabilities.shape)}
    answer["outputs"] = [output]
    if not wish.binary:
        output["data"] = probabilities.ravel().tolist()
        return json_answer(answer)
    data = probabilities.astype("<f4", copy=False).tobytes()
    output["parameters"] = {"binary_data_size": len(data)}
    head = msgspec.json.encode(answer)
    length: Headers = ((HEADER_LENGTH, b"%d" % len(head)),)
    return Answer(head + data, 200, BINARY, length)


def metadata(model: LoadedModel, traffic: dict[str, Any]) -> Answer:
    """Answer ``GET /v2/models/{name}``. ``traffic``: who is loaded, on trial and watched; each of its versions can be addressed."""
    inputs = [{"name": field.name, "datatype": DATATYPES[field.kind], "shape": [-1]} for field in model.bundle.inputs]
    classes = {"classes": list(model.bundle.classes)} if model.bundle.classes else {}
    outputs = [{"name": model.scorer.task.output, "datatype": "FP32", "shape": [-1, len(model.bundle.classes)] if classes else [-1]}]
    parameters: dict[str, Any] = {"bundle": model.fingerprint, "output": model.bundle.output, "threshold": model.bundle.threshold} | classes
    if model.bundle.intervals:
        parameters["intervals"] = model.bundle.intervals.model_dump()
    if traffic:
        parameters["traffic"] = traffic
    versions = [each["version"] for each in traffic.get("versions", ())] or [model.version]
    return json_answer({"name": model.name, "versions": versions, "platform": PLATFORM, "inputs": inputs, "outputs": outputs, "parameters": parameters})


def _header_length(headers: Mapping[bytes, bytes], size: int) -> int:
    """Bytes of the JSON part: all of them, unless the client says otherwise."""
    declared = headers.get(HEADER_LENGTH)
    if declared is None:
        if (kind := kind_of(headers)) not in (b"", JSON):
            raise Refused(415, f"the body must be JSON: send content-type: application/json, or binary tensors with {HEADER_LENGTH.decode()}; got {kind!r:.80}")
        return size
    if not (declared.isdigit() and len(declared) < 10 and int(declared) <= size):
        raise Refused(400, f"{HEADER_LENGTH.decode()} must be the JSON part's number of bytes, at most the body's {size}")
    return int(declared)


def _parse(body: bytes | memoryview) -> _Request:
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        raise Refused(400, f"not an inference request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None
