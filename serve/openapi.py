"""The OpenAPI 3.1 document of the service, with the row schema of each live bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from jobs.contracts.bundle import InputField
from serve import task_answers
from serve.answers import MAX_ROWS
from serve.model import LoadedModel

_TYPES = {"number": ["number", "null"], "category": ["string", "null"], "text": ["string", "null"]}


def document(models: Mapping[str, LoadedModel | None]) -> dict[str, Any]:
    """``models``: by name, the first of which has the short paths. Before a version is live, its rows are described as plain objects."""
    model = next(iter(models.values()))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Seatrial: {', '.join(models)}",
            "version": model.version if model else "none",
            "description": model.bundle.output if model else "no champion yet",
        },
        "paths": _SERVER | _short_paths(model) | {path: item for place, name in enumerate(models) for path, item in _paths(name, models[name], place).items()},
        "components": {"schemas": _schemas(models), "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"key": []}],  # a key where the service wants one
    }


def _short_paths(model: LoadedModel | None) -> dict[str, Any]:
    return {
        "/predict": {"post": _predict(model, 0)},
        "/explain": {"post": _explain(model, 0)},
        "/example": {"get": _operation("A real row of the input schema", "Row")},
        "/form": {"get": _operation("What a form needs: fields, their meaning and usual values")},
    }


def _paths(name: str, model: LoadedModel | None, place: int) -> dict[str, Any]:
    quoted, infer = quote(name), _operation("Open Inference Protocol: score columns", body=_reference("InferenceRequest"))
    version = {
        "parameters": [{"name": "version", "in": "path", "required": True, "schema": {"type": "string"}, **({"example": model.version} if model else {})}]
    }
    return {
        f"/v2/models/{quoted}": {"get": _operation("Model metadata")},
        f"/v2/models/{quoted}/ready": {"get": _operation("Is this model loaded and warm?")},
        f"/v2/models/{quoted}/infer": {"post": infer},
        f"/v2/models/{quoted}/versions/{{version}}": {"get": _operation("Metadata of one version"), **version},
        f"/v2/models/{quoted}/versions/{{version}}/infer": {"post": infer, **version},
        f"/models/{quoted}/example": {"get": _operation("A real row of the input schema", _row_name(place))},
        f"/models/{quoted}/form": {"get": _operation("What a form needs: fields, their meaning and usual values")},
        f"/models/{quoted}/predict": {"post": _predict(model, place)},
        f"/models/{quoted}/explain": {"post": _explain(model, place)},
    }


def _predict(model: LoadedModel | None, place: int) -> dict[str, Any]:
    row = _reference(_row_name(place))
    rows = {"oneOf": [row, {"type": "array", "items": row, "maxItems": MAX_ROWS}]}
    return _operation("Score one row or many", "Predictions", body=rows, example=model.example if model else None)


def _explain(model: LoadedModel | None, place: int) -> dict[str, Any]:
    summary = "Score one row, and what each field moved against its usual value"
    return _operation(summary, "Explanation", body=_reference(_row_name(place)), example=model.example if model else None)


def _row_name(place: int) -> str:
    """Of the schema of one model's rows: a model's name may hold what a schema's may not."""
    return f"Row{place + 1}" if place else "Row"


def _operation(summary: str, answer: str = "", *, body: Any = None, example: Any = None) -> dict[str, Any]:
    schema = _reference(answer) if answer else {"type": "object"}
    refused = _content("the request was wrong, lacks a key, or comes too often; the message says what", _reference("Error"))
    later = _content("no model is live yet, or too much to do; see Retry-After", _reference("Error"))
    responses = {"200": _content("done", schema), "4XX": refused, "503": later}
    if body is None:
        return {"summary": summary, "responses": responses}
    content = {"schema": body} | ({"example": example} if example else {})
    return {"summary": summary, "requestBody": {"required": True, "content": {"application/json": content}}, "responses": responses}


def _content(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas(models: Mapping[str, LoadedModel | None]) -> dict[str, Any]:
    answers = [_object(task_answers.schema(model.bundle if model else None)) for model in models.values()]
    prediction = answers[0] if len(answers) == 1 else {"anyOf": answers}
    tensor = _object(
        {"name": {"type": "string"}, "shape": {"type": "array", "items": {"type": "integer"}}, "datatype": {"type": "string"}, "data": {"type": "array"}}
    )
    text, number = {"type": "string"}, {"type": "number"}
    value = {"type": ["number", "string", "null"]}
    effect = _object({"field": text, "value": value, "usual": value, "score": number, "change": number})
    about = {"model": text, "model_version": text, "bundle": text}
    return {
        **{_row_name(place): _row(model.bundle.inputs) if model else {"type": "object"} for place, model in enumerate(models.values())},
        "Predictions": _object({**about, "predictions": {"type": "array", "items": prediction}}),
        "Explanation": _object(
            {**about, "score": number, "usual_score": number, "answer": prediction, "method": text, "effects": {"type": "array", "items": effect}}
        ),
        "InferenceRequest": _object({"inputs": {"type": "array", "items": tensor}}),
        "Error": _object({"error": text}),
    }


def _row(inputs: tuple[InputField, ...]) -> dict[str, Any]:
    properties = {
        field.name: {"type": _TYPES[field.kind], "description": f"{field.description} ({field.unit})" if field.unit else field.description} for field in inputs
    }
    return _object(properties) | {"additionalProperties": False}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


_SERVER = {
    "/v2": {"get": _operation("Server metadata")},
    "/v2/health/live": {"get": _operation("Is the server up?")},
    "/v2/health/ready": {"get": _operation("Is a version of every model loaded and warm?")},
}
