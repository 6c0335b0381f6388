"""Every route: what it answers with a live model, and without one."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from serve.answers import MAX_BODY, MAX_ROWS
from serve.asgi import Application
from tests.serve.conftest import ROW, Alias, Published, call, following

GET_ROUTES = [
    "/",
    "/docs",
    "/openapi.json",
    "/example",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/parcels",
    "/v2/models/parcels/ready",
    "/v2/models/parcels/versions/1",
    "/v1/models/parcels",
    "/models/parcels/example",
    "/models/parcels/form",
    "/form",
    "/page.js",
    "/page.css",
    "/ping",
    "/metrics",
]
NEED_A_MODEL = ["/form", "/ping", "/v1/models/parcels", "/example", "/v2/health/ready", "/v2/models/parcels", "/v2/models/parcels/ready"]


@pytest.mark.parametrize("path", GET_ROUTES)
def test_every_answer_carries_version_and_fingerprint(app: Application, published: Published, path: str) -> None:
    reply = call(app, "GET", path)
    assert reply.status == 200
    assert (reply.headers["x-seatrial-model-version"], reply.headers["x-seatrial-bundle"]) == ("1", published.bundles[0].fingerprint)
    assert int(reply.headers["content-length"]) == len(reply.body) > 0


@pytest.mark.parametrize("path", NEED_A_MODEL)
def test_without_a_champion_the_answer_is_503_with_retry_after(empty_app: Application, path: str) -> None:
    reply = call(empty_app, "GET", path)
    assert (reply.status, reply.headers["retry-after"], reply.json) == (503, "1", {"error": "no champion yet"})


@pytest.mark.parametrize("path", ["/predict", "/v2/models/parcels/infer", "/v2/models/parcels/versions/1/infer", "/invocations", "/v1/models/parcels:predict"])
def test_scoring_without_a_champion_is_503(empty_app: Application, path: str) -> None:
    assert call(empty_app, "POST", path, ROW).status == 503


def test_live_without_a_champion(empty_app: Application) -> None:
    assert call(empty_app, "GET", "/v2/health/live").json == {"live": True}
    assert [call(empty_app, "GET", path).status for path in ("/", "/docs", "/openapi.json", "/v2")] == [200] * 4


def test_model_metadata_announces_one_tensor_per_field(app: Application, published: Published) -> None:
    answer = call(app, "GET", "/v2/models/parcels").json
    assert answer["versions"] == ["1"]
    assert [(each["name"], each["datatype"], each["shape"]) for each in answer["inputs"]] == [
        ("color", "BYTES", [-1]),
        ("size", "FP64", [-1]),
        ("weight", "FP64", [-1]),
    ]
    assert answer["outputs"] == [{"name": "probability", "datatype": "FP32", "shape": [-1]}]
    assert answer["parameters"]["bundle"] == published.bundles[0].fingerprint


@pytest.mark.parametrize(
    ("method", "path", "status", "names"),
    [
        ("GET", "/v2/models/flights", 404, "'parcels'"),
        ("GET", "/v2/models/parcels/versions/7", 404, "'1'"),
        ("POST", "/v2/models/parcels/versions/7/infer", 404, "'1'"),
        ("GET", "/nothing", 404, "no such path"),
        ("GET", "/v1/models/parcels/infer", 404, "no such path"),
        ("POST", "/metrics", 405, "GET"),
        ("POST", "/models/flights/predict", 404, "'parcels'"),
        ("GET", "/v2/models/parcels/infer", 405, "POST"),
        ("PUT", "/predict", 405, "POST"),
        ("POST", "/example", 405, "GET"),
    ],
)
def test_wrong_paths_and_methods_say_what_is_right(app: Application, method: str, path: str, status: int, names: str) -> None:
    reply = call(app, method, path, ROW)
    assert reply.status == status
    assert names in reply.json["error"]


def test_head_has_the_headers_of_get_and_no_body(app: Application) -> None:
    same = {"x-request-id": "7"}
    get, head = call(app, "GET", "/example", headers=same), call(app, "HEAD", "/example", headers=same)
    assert (head.status, head.headers, head.body) == (200, get.headers, b"")


def test_too_much_is_413(app: Application) -> None:
    assert call(app, "POST", "/predict", [ROW] * MAX_ROWS).status == 200
    assert call(app, "POST", "/predict", [ROW] * (MAX_ROWS + 1)).status == 413
    assert call(app, "POST", "/predict", b" " * (MAX_BODY + 1)).status == 413
    assert call(app, "POST", "/predict", b"{}", {"content-type": "application/json", "content-length": str(MAX_BODY + 1)}).status == 413


@pytest.mark.parametrize("path", ["/predict", "/v2/models/parcels/infer", "/invocations"])
@pytest.mark.parametrize("headers", [{"content-type": "text/plain"}, {"content-type": "application/json", "content-encoding": "br"}])
def test_other_kinds_of_body_are_415(app: Application, path: str, headers: dict[str, str]) -> None:
    assert call(app, "POST", path, ROW, headers).status == 415


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)])
def test_compressed_bodies(app: Application, encoding: str, compress: Callable[[bytes], bytes]) -> None:
    plain = json.dumps(ROW).encode()
    headers = {"content-type": "application/json", "content-encoding": encoding}
    assert call(app, "POST", "/predict", compress(plain), headers).body == call(app, "POST", "/predict", ROW).body


@pytest.mark.parametrize(
    ("body", "status"), [(b"no gzip", 400), (gzip.compress(b"{}")[:-4], 400), (gzip.compress(b" " * (MAX_BODY + 1)), 413)], ids=["other", "cut", "bomb"]
)
def test_what_does_not_decompress_is_refused(app: Application, body: bytes, status: int) -> None:
    assert call(app, "POST", "/predict", body, {"content-encoding": "gzip"}).status == status


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json; charset=utf-8"}, {"Content-Type": "Application/JSON"}])
def test_json_by_any_other_spelling_is_accepted(app: Application, headers: dict[str, str]) -> None:
    assert call(app, "POST", "/predict", ROW, headers).status == 200


def test_openapi_describes_the_bundle(app: Application) -> None:
    document = call(app, "GET", "/openapi.json").json
    row = document["components"]["schemas"]["Row"]
    assert (row["required"], row["additionalProperties"]) == (["color", "size", "weight"], False)
    assert row["properties"]["weight"] == {"type": ["number", "null"], "description": "as weighed at the counter (kg)"}
    references = set(re.findall(r'"#/components/schemas/(\w+)"', call(app, "GET", "/openapi.json").body.decode()))
    assert references <= document["components"]["schemas"].keys()


def test_the_application_imports_no_heavy_engine() -> None:
    code = "import sys, serve.asgi; print(sorted({'torch', 'mlflow', 'ray', 'pyspark', 'pandas', 'starlette'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip() == "[]"


def test_the_clients_request_id_comes_back_and_a_strange_one_is_replaced(app: Application) -> None:
    assert call(app, "GET", "/v2", headers={"x-request-id": "order-7/ä".encode().decode("latin-1")}).headers["x-request-id"] != "order-7/ä"
    assert call(app, "GET", "/v2", headers={"x-request-id": "order-7"}).headers["x-request-id"] == "order-7"
    made = {call(app, "GET", "/nothing").headers["x-request-id"] for _ in range(3)}
    assert (len(made), {len(each) for each in made}) == (3, {32})
    assert len(call(app, "GET", "/v2", headers={"x-request-id": "x" * 129}).headers["x-request-id"]) == 32


def test_several_models_side_by_side(published: Published) -> None:
    slots = []
    for number, name in ((1, "parcels"), (2, "letters")):
        slots.append(following(name, Alias(replace(published.version(number), name=name))))
        slots[-1].refresh()
    app = Application(*slots, following("none-yet", Alias()))
    assert call(app, "GET", "/v2").json["models"] == ["parcels", "letters", "none-yet"]
    assert [call(app, "POST", f"/models/{name}/predict", ROW).json["model_version"] for name in ("parcels", "letters")] == ["1", "2"]
    assert call(app, "POST", "/predict", ROW).json["model"] == "parcels"
    assert call(app, "GET", "/v2/models/letters").headers["x-seatrial-model-version"] == "2"
    assert call(app, "GET", "/v2/models/letters/versions/1").status == 404
    assert (call(app, "GET", "/v2/models/letters/ready").status, call(app, "GET", "/v2/models/none-yet/ready").status) == (200, 503)
    assert call(app, "GET", "/v2/health/ready").status == 503  # the server is ready once all of them are
    assert "no model 'stamps' here; this server has 'parcels', 'letters', 'none-yet'" in call(app, "GET", "/v2/models/stamps").json["error"]
