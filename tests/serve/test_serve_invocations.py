"""``/invocations``: every form that MLflow's, KServe's and SageMaker's clients send gets the numbers of ``/predict``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serve.answers import MAX_ROWS
from serve.asgi import Application
from tests.serve.conftest import ROW, call

ROWS = [ROW, {"color": None, "size": 1.0, "weight": 2.5}]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROW}
SHUFFLED = ["weight", "color", "size"]
FORMS: dict[str, Any] = {
    "split": {"dataframe_split": {"columns": SHUFFLED, "index": [7, 8], "data": [[row[name] for name in SHUFFLED] for row in ROWS]}},
    "records": {"dataframe_records": ROWS, "params": {"temperature": 1}},
    "instances": {"instances": ROWS},
    "instances by position": {"instances": [list(row.values()) for row in ROWS]},
    "inputs by column": {"inputs": COLUMNS},
    "inputs as records": {"inputs": ROWS},
    "inputs by position": {"inputs": [list(row.values()) for row in ROWS]},
}
CSV = b"weight,color,size\n,red,12.5\n2.5,,1.0\n"


@pytest.fixture
def expected(app: Application) -> list[float]:
    return [each["probability"] for each in call(app, "POST", "/predict", ROWS).json["predictions"]]


@pytest.mark.parametrize("path", ["/invocations", "/models/parcels/invocations", "/v1/models/parcels:predict", "/v1/models/parcels/versions/1:predict"])
@pytest.mark.parametrize("body", FORMS.values(), ids=FORMS.keys())
def test_forms_of_json(app: Application, expected: list[float], path: str, body: Any) -> None:
    assert call(app, "POST", path, body).json == {"predictions": expected}


@pytest.mark.parametrize("kind", ["text/csv", "text/csv; charset=utf-8"])
def test_csv(app: Application, expected: list[float], kind: str) -> None:
    assert call(app, "POST", "/invocations", CSV, {"content-type": kind}).json == {"predictions": expected}


def test_lines_are_answered_by_lines(app: Application, expected: list[float]) -> None:
    reply = call(app, "POST", "/invocations", b"\n".join(json.dumps(row).encode() for row in ROWS), {"content-type": "application/jsonlines"})
    assert reply.headers["content-type"] == "application/jsonlines"
    lines = [json.loads(line) for line in reply.body.splitlines()]
    assert [line["probability"] for line in lines] == expected
    assert lines == call(app, "POST", "/predict", ROWS).json["predictions"]


@pytest.mark.parametrize("body", [{"instances": []}, {"dataframe_records": []}, {"inputs": []}, {"dataframe_split": {"columns": SHUFFLED, "data": []}}])
def test_no_rows(app: Application, body: Any) -> None:
    assert call(app, "POST", "/invocations", body).json == {"predictions": []}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "exactly one of dataframe_split, dataframe_records, instances, inputs"),
        ({"instances": ROWS, "inputs": ROWS}, "exactly one of"),
        ([ROW], "not a scoring request: Expected `object`, got `array`"),
        ({"dataframe_split": {"columns": ["color"], "data": [["red"]]}}, "column 'size' is missing"),
        ({"dataframe_split": {"columns": [*SHUFFLED, "sise"], "data": []}}, "unknown column 'sise'; did you mean 'size'?"),
        ({"dataframe_split": {"columns": [*SHUFFLED, "size"], "data": []}}, "a column is given twice"),
        ({"dataframe_split": {"columns": SHUFFLED, "data": [[1, "red"]]}}, "row 0 has 2 values, there are 3 columns"),
        ({"dataframe_split": {"columns": SHUFFLED, "data": [[1, "red", 1], [1, 2, 1]]}}, "column 'color': Expected `str | null`, got `int` - at `data[1]`"),
        ({"instances": [["red", "big", 1]]}, "column 'size': Expected `float | null`, got `str`"),
        ({"instances": [ROW, {"color": "red"}]}, "field 'size', row 1 is missing"),
        ({"instances": {"color": "red"}}, "instances: expected an array"),
        ({"instances": 3}, "not a scoring request"),
        ({"instances": "red"}, "not a scoring request"),
        ({"dataframe_records": 3}, "the body: expected an object (one row) or an array of objects, got int"),
        ({"inputs": {"color": ["red"], "size": [1, 2], "weight": [1]}}, "column 'size' has 2 values, the first column has 1"),
        ({"inputs": {"color": ["red"], "size": [1e39], "weight": [1]}}, "field 'size', row 0: a number must lie within"),
        ({"inputs": {}}, "column 'color' is missing"),
    ],
)
def test_errors_name_the_column(app: Application, body: Any, message: str) -> None:
    reply = call(app, "POST", "/invocations", body)
    assert (reply.status, message in reply.json["error"]) == (400, True), reply.body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not CSV with a header line of color, size, weight"),
        (b"color,size,weight\nred,big,1\n", "not CSV with a header line"),
        (b"color,size,weight\nred,1\n", "not CSV with a header line"),
        (b"color,size\nred,1\n", "column 'weight' is missing"),
        (b"color,size,weight,zzz\nred,1,1,1\n", "unknown column 'zzz'"),
        (b"color,size,weight,size\nred,1,1,1\n", "a column is given twice"),
        (b"color,size,weight\nred,1e39,1\n", "field 'size', row 0: a number must lie within"),
        (b"color,size,weight\n\xff,1,1\n", "not CSV"),
    ],
)
def test_errors_of_csv(app: Application, body: bytes, message: str) -> None:
    reply = call(app, "POST", "/invocations", body, {"content-type": "text/csv"})
    assert (reply.status, message in reply.json["error"]) == (400, True), reply.body


def test_too_many_rows_are_413(app: Application) -> None:
    many = MAX_ROWS + 1
    assert call(app, "POST", "/invocations", {"instances": [[None, 1, 1]] * many}).status == 413
    assert call(app, "POST", "/invocations", {"inputs": {"color": [None] * many, "size": [1] * many, "weight": [1] * many}}).status == 413
    assert call(app, "POST", "/invocations", b"color,size,weight\n" + b",1,1\n" * many, {"content-type": "text/csv"}).status == 413
