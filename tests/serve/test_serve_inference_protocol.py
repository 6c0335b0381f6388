"""The Open Inference Protocol: columns in, one probability tensor out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jobs.contracts import dataset as datasets
from serve.answers import MAX_ROWS
from serve.asgi import Application
from tests import factories
from tests.serve.conftest import Published, call

INFER = "/v2/models/parcels/infer"


def tensor(name: str, data: list[Any], datatype: str = "FP64", shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)] if shape is None else shape, "data": data}


def request(**changed: dict[str, Any]) -> dict[str, Any]:
    tensors = {"color": tensor("color", ["red", None], "BYTES"), "size": tensor("size", [1.5, None]), "weight": tensor("weight", [2, 3], "INT64")}
    return {"inputs": list((tensors | changed).values())}


def test_columns_get_the_probabilities_of_the_known_model(app: Application, published: Published) -> None:
    part = datasets.read_part(str(published.dataset), datasets.load_manifest(str(published.dataset)), "test")
    inputs = [
        tensor("weight", part["weight"].to_pylist(), "FP32"),
        tensor("color", part["color"].to_pylist(), "BYTES"),
        tensor("size", part["size"].to_pylist()),
    ]
    answer = call(app, "POST", INFER, {"id": "42", "inputs": inputs, "outputs": [{"name": "probability"}]}).json
    [output] = answer.pop("outputs")
    assert answer == {"model_name": "parcels", "model_version": "1", "id": "42", "parameters": {"bundle": published.bundles[0].fingerprint}}
    assert (output["name"], output["datatype"], output["shape"]) == ("probability", "FP32", [1_000])
    assert np.abs(np.array(output["data"]) - factories.probability(part)).max() < 1e-6


def test_shapes_versions_and_extra_members(app: Application) -> None:
    plain = call(app, "POST", INFER, request()).json
    assert "id" not in plain
    nested = request(size=tensor("size", [[1.5], [None]], shape=[2, 1]), weight=tensor("weight", [2, 3], "UINT8", [2, 1]) | {"parameters": {"a": [1]}})
    assert call(app, "POST", "/v2/models/parcels/versions/1/infer", nested | {"parameters": {"x": 1}}).json == plain


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"inputs": []}, "input 'color' is missing"),
        ({"inputs": [tensor("size", [1.0])]}, "input 'color' is missing"),
        (request(extra=tensor("sise", [1, 2])), "unknown input 'sise'; did you mean 'size'?"),
        (request(extra=tensor("", [1, 2])), "unknown input ''"),
        (request(extra=tensor("size", [1, 2])), "an input is given twice"),
        (request(size=tensor("size", [1.0])), "input 'size' has 1 rows, the first input has 2"),
        (request(size=tensor("size", [1.0], shape=[2])), "input 'size': shape [2] says 2 values, data has 1"),
        (request(size=tensor("size", [1.0, 2.0], shape=[1, 2])), "input 'size': shape must be [n] or [n, 1], got [1, 2]"),
        (request(size=tensor("size", [1.0, 2.0], shape=[-2])), "input 'size': shape must be [n] or [n, 1], got [-2]"),
        (request(size=tensor("size", [1.0, 2.0], shape=[])), "input 'size': shape must be"),
        (request(size=tensor("size", ["a", "b"], "BYTES")), "input 'size': datatype must be one of FP64"),
        (request(color=tensor("color", [1, 2])), "input 'color': datatype must be one of BYTES, got 'FP64'"),
        (request(size=tensor("size", [1.0, "b"])), "input 'size': data: Expected `float | null`, got `str` - at `data[1]`"),
        (request(weight=tensor("weight", [1, 2.5], "INT64")), "input 'weight': data: Expected `int | null`, got `float`"),
        (request(weight=tensor("weight", [1, 2**60], "INT64")), "input 'weight': data: Expected `int` <= 9007199254740992"),
        (request(size=tensor("size", [[1.0, 2.0]], shape=[2, 1])), "input 'size': data"),
        (request(size=tensor("size", [1.0, -1e39])), "field 'size', row 1: a number must lie within"),
        (request() | {"outputs": [{"name": "logit"}]}, "unknown output 'logit'"),
        ({"input": []}, "not an inference request: Object missing required field `inputs`"),
    ],
)
def test_errors_name_the_tensor(app: Application, body: Any, message: str) -> None:
    reply = call(app, "POST", INFER, body)
    assert (reply.status, message in reply.json["error"]) == (400, True), reply.body


def test_too_many_rows_are_413(app: Application) -> None:
    assert call(app, "POST", INFER, request(color=tensor("color", [], "BYTES", [MAX_ROWS + 1]))).status == 413
