"""The OpenAPI 3.1 document of the service, with the row schema of the live bundle."""

from __future__ import annotations

from typing import Any

from jobs.contracts.bundle import InputField
from serve.answers import MAX_ROWS
from serve.model import LoadedModel

_TYPES = {"number": ["number", "null"], "category": ["string", "null"]}
_INFER = "/v2/models/{name}/infer"


def document(name: str, model: LoadedModel | None) -> dict[str, Any]:
    """Before the first version is live, rows are described as plain objects."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Seatrial: {name}",
            "version": model.version if model else "none",
            "description": model.bundle.output if model else "no champion yet",
        },
        "paths": _paths(name, model),
        "components": {"schemas": _schemas(model)},
    }


def _paths(name: str, model: LoadedModel | None) -> dict[str, Any]:
    row = _reference("Row")
    rows = {"oneOf": [row, {"type": "array", "items": row, "maxItems": MAX_ROWS}]}
    return {
        "/predict": {"post": _operation("Score one row or many", "Predictions", body=rows, example=model.example if model else None)},
        "/example": {"get": _operation("A real row of the input schema", "Row")},
        "/v2": {"get": _operation("Server metadata")},
        "/v2/health/live": {"get": _operation("Is the server up?")},
        "/v2/health/ready": {"get": _operation("Is a model loaded and warm?")},
        f"/v2/models/{name}": {"get": _operation("Model metadata")},
        f"/v2/models/{name}/ready": {"get": _operation("Is this model loaded and warm?")},
        _INFER.format(name=name): {"post": _operation("Open Inference Protocol: score columns", body=_reference("InferenceRequest"))},
    }


def _operation(summary: str, answer: str = "", *, body: Any = None, example: Any = None) -> dict[str, Any]:
    schema = _reference(answer) if answer else {"type": "object"}
    responses = {"200": _content("done", schema), "503": _content("no model is live yet; see Retry-After", _reference("Error"))}
    if body is None:
        return {"summary": summary, "responses": responses}
    responses["4XX"] = _content("the request was wrong; the message names the field", _reference("Error"))
    content = {"schema": body} | ({"example": example} if example else {})
    return {"summary": summary, "requestBody": {"required": True, "content": {"application/json": content}}, "responses": responses}


def _content(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas(model: LoadedModel | None) -> dict[str, Any]:
    probability = {"type": "number", "minimum": 0, "maximum": 1, "description": model.bundle.output if model else ""}
    prediction = _object({"probability": probability, "label": {"enum": [0, 1], "description": "1 where the probability reaches the bundle's threshold"}})
    tensor = _object(
        {"name": {"type": "string"}, "shape": {"type": "array", "items": {"type": "integer"}}, "datatype": {"type": "string"}, "data": {"type": "array"}}
    )
    text = {"type": "string"}
    return {
        "Row": _row(model.bundle.inputs) if model else {"type": "object"},
        "Predictions": _object({"model": text, "model_version": text, "bundle": text, "predictions": {"type": "array", "items": prediction}}),
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
