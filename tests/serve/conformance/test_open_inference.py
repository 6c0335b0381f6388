"""The Open Inference Protocol over REST, member by member (specification/protocol/inference_rest.md), and Triton's binary tensors."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

from tests.serve.conformance.conftest import Server

LENGTH = "inference-header-content-length"
NUMPY = {"FP64": "<f8", "FP32": "<f4", "FP16": "<f2", "BOOL": "?"} | {
    f"{sign}INT{bits}": f"<{sign.lower() or 'i'}{bits // 8}" for sign in ("", "U") for bits in (8, 16, 32, 64)
}


def encoded(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(each.encode())) + each.encode() for each in values)
    return np.array(values, NUMPY[datatype]).tobytes()


def binary(request: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """The same request with all tensors as bytes behind the JSON part."""
    parts = [encoded(each["datatype"], each["data"]) for each in request["inputs"]]
    inputs = [
        {key: value for key, value in each.items() if key != "data"} | {"parameters": {"binary_data_size": len(part)}}
        for each, part in zip(request["inputs"], parts, strict=True)
    ]
    head = json.dumps(request | {"inputs": inputs}).encode()
    return head + b"".join(parts), {LENGTH: str(len(head)), "content-type": "application/octet-stream"}


@pytest.mark.parametrize(("path", "member"), [("/v2/health/live", "live"), ("/v2/health/ready", "ready")])
def test_health(server: Server, path: str, member: str) -> None:
    answer = server.http.get(path)
    assert answer.status_code == 200
    assert not answer.content or answer.json().get(member) in (True, None)


def test_server_metadata(server: Server) -> None:
    told = server.http.get("/v2").json()
    assert {"name", "version", "extensions"} <= told.keys()
    assert isinstance(told["extensions"], list)


def test_model_metadata(server: Server) -> None:
    told = server.metadata
    assert told["name"] == server.model
    assert isinstance(told["platform"], str)
    for tensor in told["inputs"] + told["outputs"]:
        assert isinstance(tensor["name"], str)
        assert tensor["datatype"] in (*NUMPY, "BYTES")
        assert all(isinstance(size, int) for size in tensor["shape"])


def test_model_ready(server: Server) -> None:
    assert server.http.get(f"{server.path}/ready").status_code == 200
    assert server.http.get("/v2/models/there-is-no-such-model/ready").status_code >= 400


@pytest.mark.parametrize("rows", [1, 3, 500])
def test_infer(server: Server, rows: int) -> None:
    answer = server.http.post(f"{server.path}/infer", json=server.request(rows))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["model_name"], told["id"]) == (server.model, "conformance-1")
    assert {each["name"] for each in told["outputs"]} <= {each["name"] for each in server.metadata["outputs"]}
    for output in told["outputs"]:
        assert output["shape"][0] == rows
        assert np.array(output["data"]).size == np.prod(output["shape"])


def test_versions_can_be_addressed(server: Server) -> None:
    for version in server.metadata.get("versions", ()):
        told = server.http.post(f"{server.path}/versions/{version}/infer", json=server.request(2)).json()
        assert told["model_version"] == version


def test_only_the_outputs_that_are_asked_for(server: Server) -> None:
    name = server.metadata["outputs"][0]["name"]
    told = server.http.post(f"{server.path}/infer", json=server.request(2) | {"outputs": [{"name": name}]}).json()
    assert [each["name"] for each in told["outputs"]] == [name]


@pytest.mark.parametrize("rows", [1, 500])
def test_binary_tensors_in_and_out(server: Server, rows: int) -> None:
    if "binary_tensor_data" not in server.http.get("/v2").json()["extensions"]:
        pytest.skip("the server does not announce binary_tensor_data")
    plain = server.http.post(f"{server.path}/infer", json=server.request(rows)).json()["outputs"]
    body, headers = binary(server.request(rows))
    assert server.http.post(f"{server.path}/infer", content=body, headers=headers).json()["outputs"] == plain
    body, headers = binary(server.request(rows) | {"parameters": {"binary_data_output": True}})
    answer = server.http.post(f"{server.path}/infer", content=body, headers=headers)
    length = int(answer.headers[LENGTH])
    told, rest = json.loads(answer.content[:length]), answer.content[length:]
    for output, expected in zip(told["outputs"], plain, strict=True):
        size = output["parameters"]["binary_data_size"]
        data, rest = rest[:size], rest[size:]
        assert "data" not in output
        np.testing.assert_array_equal(np.frombuffer(data, NUMPY[output["datatype"]]), np.array(expected["data"], NUMPY[output["datatype"]]))
    assert not rest


@pytest.mark.parametrize(
    "spoil",
    [
        lambda request: request["inputs"].pop(),
        lambda request: request["inputs"][0].update(name="there-is-no-such-input"),
        lambda request: request["inputs"][0].update(shape=[99]),
        lambda request: request["inputs"][0].update(datatype="FP99"),
        lambda request: request.pop("inputs"),
        lambda request: request.update(outputs=[{"name": "there-is-no-such-output"}]),
    ],
    ids=["input missing", "input unknown", "shape", "datatype", "no inputs", "output unknown"],
)
def test_errors_are_4xx_with_a_message(server: Server, spoil: Any) -> None:
    request = server.request(2)
    spoil(request)
    answer = server.http.post(f"{server.path}/infer", json=request)
    assert 400 <= answer.status_code < 500, answer.text
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_bodies_that_are_no_request(server: Server, body: bytes) -> None:
    answer = server.http.post(f"{server.path}/infer", content=body, headers={"content-type": "application/json"})
    assert (400 <= answer.status_code < 500, bool(answer.json()["error"])) == (True, True)


def test_a_model_that_is_not_there(server: Server) -> None:
    answer = server.http.post("/v2/models/there-is-no-such-model/infer", json=server.request(1))
    assert (400 <= answer.status_code < 500, bool(answer.json()["error"])) == (True, True)
