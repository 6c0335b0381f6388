"""What moved a score: ``POST /explain`` with one row, and ``GET /form`` with what a person needs to fill one in.

For each field the row is scored once more with that field alone at its usual value (``serve.usual``); the effect is the score of the row less
that one. It is the model's own answer to a question that one can check with ``/predict``. Effects do not add up to the score, because
fields act together, and they say what the model does with a value, not what causes the outcome.

These are questions about the model and no traffic: they are not counted as predictions, not logged, and not compared for drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from serve import task_answers
from serve.answers import JSON, Answer, Refused, json_answer, kind_of
from serve.usual import usual_range

if TYPE_CHECKING:
    from serve.model import LoadedModel, Tensors
    from serve.rows import Row

MOST_VALUES = 500  # of a text field that a form offers
METHOD = "the score of this row less its score with this field alone at its usual value (median, or most frequent value, of the training data)"


def read(model: LoadedModel, headers: Mapping[bytes, bytes], body: bytes) -> tuple[Tensors, Row]:
    """The row itself, the usual row, and the row with one field after the other as usual.

    Errors: Refused 400 that names the field, 415 for something else than JSON.
    """
    if kind_of(headers) not in (JSON, b""):
        raise Refused(415, "the body must be JSON: send the header content-type: application/json")
    rows = model.reader.read(body)
    if len(rows) != 1:
        raise Refused(400, f"one row is explained at a time, got {len(rows)}")
    row, usual = rows[0], model.usual
    changed = [(*row[:place], usual[place], *row[place + 1 :]) for place in range(len(row))]
    return model.of_rows([row, usual, *changed]), row


def write(model: LoadedModel, answers: NDArray[Any], row: Row) -> Answer:
    """``score``: the probability, of several classes the one that is likeliest for this row; of other tasks the value."""
    scores = answers[:, answers[0].argmax()] if answers.ndim > 1 else answers
    score, of_usual, *changed = scores.tolist()
    effects = [
        {"field": name, "value": value, "usual": usual, "score": each, "change": score - each}
        for name, value, usual, each in zip(model.reader.names, row, model.usual, changed, strict=True)
    ]
    found: dict[str, Any] = {"model": model.name, "model_version": model.version, "bundle": model.fingerprint}
    (answer,) = task_answers.written(model.bundle, answers[:1])
    return json_answer(found | {"score": score, "usual_score": of_usual, "answer": answer, "effects": effects, "method": METHOD})


def form(model: LoadedModel) -> Answer:
    """Fields with their meaning, their usual value and, of a text, the values that the model knows."""
    ranges = {each.name: usual_range(each) for each in (model.reference.columns if model.reference else ()) if each.kind == "number"}
    fields = []
    for field, usual in zip(model.bundle.inputs, model.usual, strict=True):
        found: dict[str, Any] = {"name": field.name, "kind": field.kind, "unit": field.unit, "description": field.description, "usual": usual}
        if field.kind == "category":
            values = model.scorer.encoder.known(field.name)
            found |= {"values": values[:MOST_VALUES], "more_values": max(0, len(values) - MOST_VALUES)}
        elif field.kind == "number":
            found["range"] = ranges.get(field.name)
        fields.append(found)
    bundle = model.bundle
    about: dict[str, Any] = {"model": model.name, "model_version": model.version, "bundle": model.fingerprint, "output": bundle.output}
    about |= {"task": bundle.task, "threshold": bundle.threshold}
    metrics = {name: interval.model_dump() for name, interval in bundle.metrics.items()}
    return json_answer({**about, "metrics": metrics, "method": METHOD, "example": model.example, "fields": fields})
