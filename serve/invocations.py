"""MLflow's scoring protocol, which SageMaker's containers share: ``POST /invocations``, and KServe's version 1 with it.

    application/json         {"dataframe_split": {"columns": [...], "data": [[...]]}}     {"dataframe_records": [{...}]}
                             {"instances": [{...}]} or [[...]]                            {"inputs": {"column": [...]}}, or as instances
    text/csv                 a header line, then rows; an empty cell is not known
    application/jsonlines    a row per line, answered line by line

Source: mlflow.org/docs/latest/ml/deployment, "Inference Server Specification". Rows without names come in the order of ``GET /example``.
The answer is {"predictions": [probability, ...]}; lines hold {"probability", "label"}. Of several classes each prediction is the list of
their probabilities, of a regression the value (``serve.task_answers``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from jobs.contracts.bundle import InputField
from serve import task_answers
from serve.answers import JSON, Answer, Refused, check_rows, json_answer, kind_of
from serve.model import LoadedModel, Tensors
from serve.rows import JSON_TYPES, nearest, not_json

CSV = b"text/csv"
LINES = (b"application/jsonlines", b"application/x-jsonlines", b"application/jsonl", b"application/x-ndjson")
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


class _Split(msgspec.Struct):
    columns: list[str]
    data: list[list[Any]]
    index: Any = None


class _Body(msgspec.Struct):
    dataframe_split: _Split | msgspec.UnsetType = msgspec.UNSET
    dataframe_records: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    instances: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    inputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_LISTS: dict[str, Any] = {kind: list[item] for kind, item in JSON_TYPES.items()}  # type: ignore[valid-type]
_decode = msgspec.json.Decoder(_Body).decode
_decode_lists = msgspec.json.Decoder(list[list[Any]]).decode
_decode_columns = msgspec.json.Decoder(dict[str, list[Any]]).decode
_encode_lines = msgspec.json.Encoder().encode_lines


def read(model: LoadedModel, headers: Mapping[bytes, bytes], body: bytes) -> tuple[Tensors, bool]:
    """Tensors, and whether the answer is by lines.

    Errors: Refused 400 that names the column, 413 for too many rows, 415 for another format.
    """
    kind = kind_of(headers)
    if kind == CSV:
        return _csv(model, body), False
    if kind in LINES:
        return model.of_rows(model.reader.read_lines(body)), True
    if kind not in (b"", JSON):
        raise Refused(415, "the body must be application/json, text/csv or application/jsonlines")
    return _json(model, body), False


def write(model: LoadedModel, probabilities: NDArray[np.float32], lines: bool) -> Answer:
    if not lines:
        return json_answer({"predictions": probabilities.tolist()})
    return Answer(_encode_lines(task_answers.written(model.bundle, probabilities)), kind=LINES[0])


def _json(model: LoadedModel, body: bytes) -> Tensors:
    try:
        request = _decode(body)
        given = [form for form in _FORMS if getattr(request, form) is not msgspec.UNSET]
        if len(given) != 1:
            raise Refused(400, f"the body must have exactly one of {', '.join(_FORMS)}")
        if request.dataframe_split:
            return _positional(model, request.dataframe_split.columns, request.dataframe_split.data)
        rows: msgspec.Raw = getattr(request, given[0])
        first = bytes(rows).lstrip(b" \t\r\n[")[:1]
        if given[0] == "inputs" and bytes(rows).lstrip()[:1] == b"{":
            columns = _decode_columns(rows)
            return _columns(model, columns, len(next(iter(columns.values()), ())))
        if given[0] != "dataframe_records" and first not in (b"{", b""):
            return _positional(model, model.reader.names, _decode_lists(rows))
        if bytes(rows).lstrip()[:1] == b"{":
            raise Refused(400, f"{given[0]}: expected an array")
        return model.of_rows(model.reader.read(rows))
    except msgspec.ValidationError as error:
        raise Refused(400, f"not a scoring request: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None


def _positional(model: LoadedModel, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> Tensors:
    check_rows(len(rows))
    for position, row in enumerate(rows):
        if len(row) != len(names):
            raise Refused(400, f"row {position} has {len(row)} values, there are {len(names)} columns")
    if len(set(names)) < len(names):
        raise Refused(400, "a column is given twice")
    return _columns(model, {name: [row[place] for row in rows] for place, name in enumerate(names)}, len(rows))


def _columns(model: LoadedModel, given: Mapping[str, list[Any]], rows: int) -> Tensors:
    check_rows(rows)
    _check_names(model, given)
    return model.of_columns({field.name: _typed(field, given[field.name], rows) for field in model.bundle.inputs}, rows)


def _check_names(model: LoadedModel, given: Mapping[str, Any] | Sequence[str]) -> None:
    names = model.reader.names
    for name in given:
        if name not in names:
            raise Refused(400, f"unknown column {name!r}{nearest(name, names)}")
    if missing := [name for name in names if name not in given]:
        raise Refused(400, f"column {missing[0]!r} is missing: send null where a value is not known")


def _typed(field: InputField, values: list[Any], rows: int) -> list[Any]:
    if len(values) != rows:
        raise Refused(400, f"column {field.name!r} has {len(values)} values, the first column has {rows}")
    try:
        return msgspec.convert(values, _LISTS[field.kind])  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise Refused(400, f"column {field.name!r}: {str(error).replace('`$', '`data')}") from None


def _csv(model: LoadedModel, body: bytes) -> Tensors:
    import pyarrow as pa
    from pyarrow import csv

    kinds = {field.name: pa.float64() if field.kind == "number" else pa.string() for field in model.bundle.inputs}
    options = csv.ConvertOptions(column_types=kinds, strings_can_be_null=True, null_values=["", "NA", "NaN", "nan", "null"])
    try:
        table = csv.read_csv(pa.BufferReader(body), csv.ReadOptions(use_threads=False), convert_options=options)
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError) as error:
        raise Refused(400, f"not CSV with a header line of {', '.join(model.reader.names)}: {error}") from None
    check_rows(table.num_rows)
    _check_names(model, table.column_names)
    if len(set(table.column_names)) < len(table.column_names):
        raise Refused(400, "a column is given twice")
    return model.of_columns({name: table[name].combine_chunks() for name in kinds}, table.num_rows)
