"""``POST /predict``: rows in, probabilities out, and errors that name the row and the field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs.contracts import dataset as datasets
from jobs.contracts.bundle import InputField
from serve.answers import Refused
from serve.asgi import Application
from serve.rows import RowReader
from tests import factories
from tests.serve.conftest import ROW, Published, call


def test_rows_get_the_probabilities_of_the_known_model(app: Application, published: Published) -> None:
    test_part = datasets.read_part(str(published.dataset), datasets.load_manifest(str(published.dataset)), "test")
    answer = call(app, "POST", "/predict", test_part.select(["color", "size", "weight"]).to_pylist()).json
    online = np.array([each["probability"] for each in answer["predictions"]])
    assert len(online) == 1_000
    assert np.abs(online - factories.probability(test_part)).max() < 1e-6
    assert [each["label"] for each in answer["predictions"]] == (online >= published.bundles[0].threshold).astype(int).tolist()


def test_one_row_and_a_list_answer_alike(app: Application, published: Published) -> None:
    one, many = call(app, "POST", "/predict", ROW).json, call(app, "POST", "/predict", [ROW, ROW]).json
    assert many["predictions"] == one["predictions"] * 2
    assert {key: one[key] for key in ("model", "model_version", "bundle")} == {
        "model": "parcels",
        "model_version": "1",
        "bundle": published.bundles[0].fingerprint,
    }


def test_no_rows_no_predictions(app: Application) -> None:
    assert call(app, "POST", "/predict", []).json["predictions"] == []


def test_null_everywhere_and_unknown_categories_are_answered(app: Application) -> None:
    nothing, strange = {"color": None, "size": None, "weight": None}, {"color": "ultraviolet", "size": None, "weight": None}
    first, second = call(app, "POST", "/predict", [nothing, strange]).json["predictions"]
    assert first == second
    assert first["probability"] == pytest.approx(
        factories.probability(
            pa.table({"color": pa.array([None], pa.string()), "size": pa.array([None], pa.float64()), "weight": pa.array([None], pa.float64())})
        )[0]
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"color": "red", "size": 1}, "field 'weight' is missing: send null if its value is not known"),
        ([ROW, {"color": "red", "weight": 1}], "field 'size', row 1 is missing: send null if its value is not known"),
        (ROW | {"wieght": 1}, "unknown field 'wieght'; did you mean 'weight'?"),
        ([ROW, ROW | {"zzz": 1}], "unknown field 'zzz', row 1; the fields are color, size, weight"),
        (ROW | {"size": "big"}, "field 'size': expected a number or null, got str"),
        ([ROW, ROW, ROW | {"color": 7}], "field 'color', row 2: expected a text or null, got int"),
        (ROW | {"size": True}, "field 'size': expected a number or null, got bool"),
        (ROW | {"size": 1e39}, "field 'size', row 0: a number must lie within ±3.4e38"),
        ([ROW, 3], "the body, row 1: expected an object, got int"),
        ("red", "the body: expected an object (one row) or an array of objects, got str"),
        (b'{"color": null, "size": 1e400, "weight": 1}', "field 'size': number out of range"),
    ],
)
def test_errors_name_the_field(app: Application, body: Any, message: str) -> None:
    reply = call(app, "POST", "/predict", body)
    assert (reply.status, reply.json["error"]) == (400, message)


def test_any_name_of_a_field_is_served() -> None:
    reader = RowReader((InputField(name="wind speed", kind="number"), InputField(name="class", kind="category"), InputField(name="ö.`x`", kind="number")))
    assert reader.read('{"ö.`x`": 3, "class": "É", "wind speed": 0.1}'.encode()) == [(0.1, "É", 3.0)]
    with pytest.raises(Refused, match=r"field 'ö\.`x`': expected a number or null, got str"):
        reader.read('{"ö.`x`": "3", "class": "É", "wind speed": 0.1}'.encode())
