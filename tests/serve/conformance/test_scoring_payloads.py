"""What MLflow's, SageMaker's and KServe's clients send: the bodies as their documentation and sources have them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from tests.serve.conformance.conftest import Server

ROWS = 4


@pytest.fixture
def rows(server: Server) -> list[dict[str, Any]]:
    columns = server.columns(ROWS)
    return [{name: values[row] for name, values in columns.items()} for row in range(ROWS)]


@pytest.fixture
def expected(server: Server) -> list[float]:
    return server.http.post(f"{server.path}/infer", json=server.request(ROWS)).json()["outputs"][0]["data"]  # type: ignore[no-any-return]


def test_ping(server: Server) -> None:
    assert server.http.get("/ping").status_code == 200


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs"])
def test_mlflow_scoring(server: Server, rows: list[dict[str, Any]], expected: list[float], form: str) -> None:
    split = {"columns": list(rows[0]), "index": list(range(ROWS)), "data": [list(row.values()) for row in rows]}
    body = {form: {"dataframe_split": split, "inputs": server.columns(ROWS)}.get(form, rows)}
    assert server.http.post("/invocations", json=body).json()["predictions"] == pytest.approx(expected, abs=1e-6)


def test_the_body_that_mlflow_itself_makes_of_a_frame(server: Server, rows: list[dict[str, Any]], expected: list[float]) -> None:
    import pandas as pd
    from mlflow.models.utils import convert_input_example_to_serving_input  # as `mlflow models predict` and ModelSignature examples do

    body = convert_input_example_to_serving_input(pd.DataFrame(rows))
    answer = server.http.post("/invocations", content=body, headers={"content-type": "application/json"})
    assert answer.json()["predictions"] == pytest.approx(expected, abs=1e-6), answer.text


def test_csv(server: Server, rows: list[dict[str, Any]], expected: list[float]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    answer = server.http.post("/invocations", content=text.getvalue(), headers={"content-type": "text/csv"})
    assert answer.json()["predictions"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("body", "kind"), [(b"{}", "application/json"), (b"{", "application/json"), (b"x", "text/plain"), (b"", "text/csv")])
def test_wrong_bodies_are_4xx(server: Server, body: bytes, kind: str) -> None:
    assert 400 <= server.http.post("/invocations", content=body, headers={"content-type": kind}).status_code < 500


def test_kserve_version_1(server: Server, rows: list[dict[str, Any]], expected: list[float]) -> None:
    """``InferenceRESTClient`` with protocol "v1": ready is {"ready": true}, predict posts {"instances": ...} without a content type."""
    assert server.http.get(f"/v1/models/{server.model}").json()["ready"] is True
    answer = server.http.post(f"/v1/models/{server.model}:predict", content=json.dumps({"instances": rows}))
    assert answer.json()["predictions"] == pytest.approx(expected, abs=1e-6)


def test_kserve_version_2(server: Server, expected: list[float]) -> None:
    """The same client with protocol "v2" and ``InferRequest.to_rest()``, JSON tensors: it sends no content type either."""
    assert server.http.get("/v2/health/live").json().get("live") is True
    assert server.http.get("/v2/health/ready").json().get("ready") is True
    request = server.request(ROWS)
    request["inputs"] = [each | {"parameters": {}} for each in request["inputs"]]
    told = server.http.post(f"/v2/models/{server.model}/infer", content=json.dumps(request | {"parameters": {}})).json()
    assert told["outputs"][0]["data"] == pytest.approx(expected, abs=1e-6)
    assert {"id", "model_name", "model_version", "outputs"} <= told.keys()
