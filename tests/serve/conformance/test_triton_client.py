"""NVIDIA's ``tritonclient[http]``, unmodified: what it calls, and how it reads the answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

from tests.serve.conformance.conftest import Server

ROWS = 7


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    client = triton.InferenceServerClient(server.url.partition("://")[2])
    yield client
    client.close()


def inputs(server: Server, *, binary: bool) -> list[Any]:
    made = []
    columns = server.columns(ROWS)
    for each in server.metadata["inputs"]:
        tensor = triton.InferInput(each["name"], server.shape(each, ROWS), each["datatype"])
        values = np.array(columns[each["name"]], triton_to_np_dtype(each["datatype"])).reshape(server.shape(each, ROWS))
        tensor.set_data_from_numpy(values, binary_data=binary)
        made.append(tensor)
    return made


@pytest.fixture
def expected(server: Server) -> list[float]:
    return server.http.post(f"{server.path}/infer", json=server.request(ROWS)).json()["outputs"][0]["data"]  # type: ignore[no-any-return]


def test_health_and_metadata(server: Server, client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(server.model)
    assert not client.is_model_ready("there-is-no-such-model")
    assert client.get_server_metadata()["name"]
    assert client.get_model_metadata(server.model)["inputs"] == server.metadata["inputs"]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("binary_output", [True, False, None])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_infer(server: Server, client: Any, expected: list[float], binary: bool, binary_output: bool | None, compression: str | None) -> None:
    name = server.metadata["outputs"][0]["name"]
    outputs = None if binary_output is None else [triton.InferRequestedOutput(name, binary_data=binary_output)]
    given = inputs(server, binary=binary)
    found = client.infer(server.model, given, outputs=outputs, request_id="7", request_compression_algorithm=compression)
    assert found.get_response()["id"] == "7"
    np.testing.assert_allclose(found.as_numpy(name), np.array(expected, np.float32), atol=1e-6)


def test_async_infer_and_versions(server: Server, client: Any, expected: list[float]) -> None:
    name = server.metadata["outputs"][0]["name"]
    version = server.metadata["versions"][0]
    under_way = [client.async_infer(server.model, inputs(server, binary=True), model_version=version) for _ in range(3)]
    for each in under_way:
        np.testing.assert_allclose(each.get_result().as_numpy(name), np.array(expected, np.float32), atol=1e-6)


def test_errors_reach_the_caller(server: Server, client: Any) -> None:
    with pytest.raises(InferenceServerException) as refused:
        client.infer(server.model, inputs(server, binary=True)[1:])
    assert refused.value.status() == "400"
    assert server.metadata["inputs"][0]["name"] in refused.value.message()
