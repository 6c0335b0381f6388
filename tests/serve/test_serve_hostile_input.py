"""Nothing that a client sends gives a 5xx: arbitrary methods, paths, headers and bodies, and known troublemakers."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve.asgi import Application
from tests.serve.conftest import ROW, call

POSTS = ["/predict", "/v2/models/parcels/infer", "/invocations", "/explain"]
HANG = 10.0  # seconds, on a busy machine too
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),  # floats() holds NaN and Infinity, which json.dumps writes
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["color", "size", "weight", "inputs", "name", "shape", "datatype", "data", "x"]), inner, max_size=6)
    ),
    max_leaves=20,
)
NEAR_ROWS = st.fixed_dictionaries({"color": JSON_VALUES, "size": JSON_VALUES, "weight": JSON_VALUES})
NEAR_TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["color", "size", "weight"]) | st.text(),
        "datatype": st.sampled_from(["FP64", "INT64", "BYTES", "BOOL"]) | JSON_VALUES,
        "shape": st.lists(st.integers(), max_size=3) | st.just([1]) | JSON_VALUES,
        "data": st.lists(JSON_VALUES, max_size=3) | JSON_VALUES,
    }
)
NEAR_REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(NEAR_TENSORS, max_size=5)}, optional={"id": JSON_VALUES, "outputs": JSON_VALUES, "parameters": JSON_VALUES}
)
BODIES = st.binary(max_size=200) | (JSON_VALUES | NEAR_ROWS | st.lists(NEAR_ROWS, max_size=3) | NEAR_REQUESTS).map(
    lambda value: json.dumps(value).encode("utf-8", "surrogatepass")
)
PATHS = st.sampled_from(["/", "/docs", "/example", "/openapi.json", "/v2", "/v2/models/parcels", "/v2/models/parcels/versions/1", *POSTS]) | st.text(
    st.characters()
).map(lambda text: "/" + text)
FAST = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # the application keeps no state between requests


def check(app: Application, method: str, path: str, body: Any = b"", headers: dict[str, str] | None = None) -> int:
    reply = call(app, method, path, body, headers)
    assert reply.status < 500, reply.body
    assert "x-seatrial-bundle" in reply.headers
    if reply.status >= 400:
        assert reply.json["error"]
    return reply.status


@FAST
@given(method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "x"]), path=PATHS, body=BODIES)
def test_any_method_path_and_body(app: Application, method: str, path: str, body: bytes) -> None:
    if method == "HEAD":
        assert call(app, method, path, body).status < 500
    else:
        check(app, method, path, body)


@FAST
@given(path=st.sampled_from(POSTS), body=BODIES)
def test_any_body_where_bodies_are_read(app: Application, path: str, body: bytes) -> None:
    check(app, "POST", path, body)


@pytest.mark.full
@settings(FAST, max_examples=10_000)
@given(path=st.sampled_from(POSTS), body=BODIES)
def test_ten_thousand_bodies(app: Application, path: str, body: bytes) -> None:
    started = time.monotonic()
    check(app, "POST", path, body)
    assert time.monotonic() - started < HANG


@FAST
@given(
    headers=st.dictionaries(
        st.sampled_from(["content-type", "content-length", "content-encoding", "inference-header-content-length"]),
        st.text(st.characters(codec="ascii"), max_size=30),
    )
)
def test_any_headers(app: Application, headers: dict[str, str]) -> None:
    check(app, "POST", "/predict", ROW, headers)


DEEP = 200_000
TROUBLE = {
    "empty": b"",
    "deep list": b"[" * DEEP,
    "deep closed list": b"[" * DEEP + b"]" * DEEP,
    "deep value of a field": b'{"color":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep tensor": b'{"inputs":[{"name":"size","shape":[1],"datatype":"FP64","data":' + b"[" * DEEP + b"]" * DEEP + b"}]}",
    "deep parameters": b'{"parameters":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b',"inputs":[]}',
    "huge integer": b'{"color":null,"size":1' + b"0" * 5_000 + b',"weight":1}',
    "huge shape": b'{"inputs":[{"name":"color","shape":[1' + b"0" * 5_000 + b'],"datatype":"BYTES","data":[]}]}',
    "beyond double": b'{"color":null,"size":1e400,"weight":-1e400}',
    "NaN": b'{"color":null,"size":NaN,"weight":1}',
    "Infinity": b'{"color":null,"size":Infinity,"weight":1}',
    "lone surrogate": b'{"color":"\\ud800","size":1,"weight":1}',
    "lone surrogate as name": b'{"\\udfff":1}',
    "invalid UTF-8": b'{"color":"\xff\xfe","size":1,"weight":1}',
    "UTF-16": json.dumps(ROW).encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "long unknown name": b'{"' + b"x" * 1_000_000 + b'":1}',
    "null": b"null",
    "two documents": b"{} {}",
}


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", TROUBLE.values(), ids=TROUBLE.keys())
def test_known_troublemakers_are_refused(app: Application, path: str, body: bytes) -> None:
    assert check(app, "POST", path, body) == 400


def test_of_a_name_given_twice_the_last_counts(app: Application) -> None:
    twice = b'{"color":"red","size":1,"weight":1,"color":"blue"}'
    assert call(app, "POST", "/predict", twice).body == call(app, "POST", "/predict", {"color": "blue", "size": 1, "weight": 1}).body


def test_a_nul_and_astral_characters_are_just_unknown_categories(app: Application) -> None:
    assert check(app, "POST", "/predict", [ROW | {"color": text} for text in ("\0", "\U0001d54a", "e\u0301")]) == 200


def test_strange_names_and_lengths(app: Application) -> None:
    assert check(app, "GET", "/v2/models/\udc80") == 404  # repr() writes a lone surrogate as an escape, so it fits into JSON
    assert check(app, "GET", "/v2/models/parcels/versions/\udc80") == 404
    assert check(app, "POST", "/predict", ROW, {"content-length": "9" * 5_000}) == 200  # int() refuses so many digits; the bytes that come are counted
