"""Binary tensors: the same numbers as in JSON, in both directions, and errors for bytes that are not what they announce."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve.asgi import Application
from tests.serve.conftest import Reply, call
from tests.serve.test_serve_inference_protocol import INFER, tensor

NUMPY = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2", "INT64": "<i8", "INT8": "<i1", "UINT16": "<u2", "UINT64": "<u8"}


def texts(values: list[str]) -> bytes:
    return b"".join(struct.pack("<I", len(each.encode())) + each.encode() for each in values)


def binary(name: str, datatype: str, shape: list[int], data: bytes) -> tuple[dict[str, Any], bytes]:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(data)}}, data


def send(app: Application, *inputs: Any, tail: bytes = b"", length: int | None = None, **members: Any) -> Reply:
    """``inputs``: JSON tensors, or those of :func:`binary`."""
    described = [each if isinstance(each, dict) else each[0] for each in inputs]
    head = json.dumps({"inputs": described, **members}).encode()
    data = b"".join(each[1] for each in inputs if not isinstance(each, dict))
    headers = {"inference-header-content-length": str(len(head) if length is None else length), "content-type": "application/octet-stream"}
    return call(app, "POST", INFER, head + data + tail, headers)


COLOR, SIZE, WEIGHT = ["red", "", "blue"], [1.5, float("nan"), -2.0], [2, 3, 4]


@pytest.mark.parametrize("datatype", NUMPY)
def test_numbers_of_every_type(app: Application, datatype: str) -> None:
    expected = call(app, "POST", INFER, {"inputs": [tensor("color", COLOR, "BYTES"), tensor("size", [1.5, None, -2.0]), tensor("weight", WEIGHT)]})
    size, weight = np.array(SIZE, "<f8").tobytes(), np.array(WEIGHT, NUMPY[datatype]).tobytes()
    reply = send(app, binary("weight", datatype, [3, 1], weight), binary("color", "BYTES", [3], texts(COLOR)), binary("size", "FP64", [3], size))
    assert reply.json["outputs"] == expected.json["outputs"]


@pytest.mark.parametrize(
    "values", [["a", "b", "c"], ["red"] * 3, ["", "", ""], ["é", "ü", "xx"], ["\0", "a\0b", ""], ["\0\0", "ab", "cd"], ["red", "\U0001d54a", "blue"]]
)
def test_texts_of_any_length_mean_what_they_mean_in_json(app: Application, values: list[str]) -> None:
    numbers = tensor("size", [1.0] * 3), tensor("weight", [1.0] * 3)
    given = send(app, *numbers, binary("color", "BYTES", [3], texts(values)))
    assert given.json["outputs"] == call(app, "POST", INFER, {"inputs": [*numbers, tensor("color", values, "BYTES")]}).json["outputs"]


@pytest.mark.parametrize(
    "members",
    [
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "probability", "parameters": {"binary_data": True}}]},
        {"outputs": [{"name": "probability"}], "parameters": {"binary_data_output": True, "other": [1]}},
    ],
)
def test_binary_output_where_it_is_asked_for(app: Application, members: dict[str, Any]) -> None:
    inputs = tensor("color", COLOR, "BYTES"), tensor("size", [1.5, None, -2.0]), tensor("weight", WEIGHT)
    plain = call(app, "POST", INFER, {"id": "x", "inputs": inputs}).json
    reply = call(app, "POST", INFER, {"id": "x", "inputs": inputs, **members})
    length = int(reply.headers["inference-header-content-length"])
    head = json.loads(reply.body[:length])
    assert reply.headers["content-type"] == "application/octet-stream"
    assert head["outputs"] == [{"name": "probability", "datatype": "FP32", "shape": [3], "parameters": {"binary_data_size": 12}}]
    assert np.frombuffer(reply.body[length:], "<f4").tolist() == np.array(plain["outputs"][0]["data"], np.float32).tolist()
    no = {"outputs": [{"name": "probability", "parameters": {"binary_data": False}}], "parameters": {"binary_data_output": True}}
    assert call(app, "POST", INFER, {"id": "x", "inputs": inputs, **no}).json == plain


@pytest.mark.parametrize(
    ("color", "message"),
    [
        (binary("color", "BYTES", [2], texts(["red"])), "its 7 bytes are not 2 elements"),
        (binary("color", "BYTES", [1], texts(["red", "a"])), "its 12 bytes are not 1 elements"),
        (binary("color", "BYTES", [1], b"\xff\xff\xff\xffred"), "its 7 bytes are not 1 elements"),
        (binary("color", "BYTES", [1], b"\x01\0\0"), "its 3 bytes are not 1 elements"),
        (binary("color", "BYTES", [1], struct.pack("<I", 1) + b"\xff"), "an element is not UTF-8"),
        (binary("color", "BYTES", [2], struct.pack("<I", 1) + b"\xc3" + struct.pack("<I", 1) + b"\xa9"), "an element is not UTF-8"),
        (binary("color", "FP64", [1], b"12345678"), "datatype must be one of BYTES"),
        ({**binary("color", "BYTES", [1], b"")[0], "data": ["red"]}, "either data or binary_data_size"),
        ({"name": "color", "datatype": "BYTES", "shape": [1]}, "input 'color': data is missing"),
        ({**tensor("color", ["red"], "BYTES"), "parameters": {"binary_data_size": -1}}, "not an inference request: Expected `int` >= 0"),
    ],
)
def test_errors_name_the_tensor(app: Application, color: Any, message: str) -> None:
    rows = (color[0] if isinstance(color, tuple) else color)["shape"][0]
    reply = send(app, color, tensor("size", [1.0] * rows), tensor("weight", [1.0] * rows))
    assert (reply.status, message in reply.json["error"]) == (400, True), reply.body


def test_sizes_that_do_not_add_up(app: Application) -> None:
    others = tensor("color", ["red"], "BYTES"), tensor("weight", [1.0])
    assert "1 values of FP64 take 8 bytes, got 4" in send(app, *others, binary("size", "FP64", [1], b"1234")).json["error"]
    assert "announce 8 bytes, 11 follow" in send(app, *others, binary("size", "FP64", [1], b"12345678"), tail=b"abc").json["error"]
    assert "must lie within ±2^53" in send(app, *others, binary("size", "INT64", [1], struct.pack("<q", -(2**60)))).json["error"]
    assert "at most the body's" in send(app, *others, tensor("size", [1.0]), length=10**6).json["error"]
    assert send(app, *others, tensor("size", [1.0]), length=5).status == 400


HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "content-encoding", "inference-header-content-length"]),
    st.sampled_from(["application/json", "application/octet-stream", "text/csv", "application/jsonlines", "gzip", "0", "2", "60", "-1", "x"]),
)
HEAD = json.dumps({"inputs": [binary("color", "BYTES", [1], b"12345")[0], binary("size", "FP64", [1], b"12345678")[0], tensor("weight", [1.0])]}).encode()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from([INFER, "/invocations", "/predict"]), headers=HEADERS, tail=st.binary(max_size=40), head=st.just(HEAD) | st.just(b""))
def test_any_bytes_after_any_head(app: Application, path: str, headers: dict[str, str], head: bytes, tail: bytes) -> None:
    if head and "content-type" not in headers:
        headers["inference-header-content-length"] = str(len(head))
    reply = call(app, "POST", path, head + tail, headers)
    assert reply.status < 500, reply.body
    assert reply.status < 400 or reply.json["error"]
