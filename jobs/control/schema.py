"""The job file's JSON Schema, with which an editor completes and checks it. Made from the models in ``spec`` alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, get_args

from pydantic import AfterValidator
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from jobs.control import spec
from jobs.control.spec import Kind, Pipeline, Step

DIALECT = GenerateJsonSchema.schema_dialect
TIME = r"^\s*0*[1-9]\d*[smhd]?\s*$"
MEMORY = r"^(?=.*[1-9])\d+(\.\d+)?(Ki|Mi|Gi|Ti|k|M|G|T|)$"
LABEL = r"^[a-z]([-a-z0-9]{0,28}[a-z0-9])?$"


def _rule(metadata: Iterable[Any]) -> Callable[..., Any]:
    """The function that checks an annotated value of ``spec``: how its schema is recognised while it is generated."""
    return next(each.func for each in metadata if isinstance(each, AfterValidator))


def _passing(rule: Callable[[Kind], Kind]) -> Iterator[str]:
    for kind in Kind:
        with suppress(ValueError):
            yield rule(kind).value


_KIND = _rule(Step.model_fields["kind"].metadata)
# Rules that are code say nothing to an editor, so they are told again in its words; a test compares the two.
_TOLD: dict[Callable[..., Any], JsonSchemaValue] = {
    _rule(get_args(spec.Name)): {"type": "string", "pattern": LABEL},
    _rule(get_args(spec.Duration)): {"type": ["string", "integer"], "pattern": TIME, "exclusiveMinimum": 0},
    _rule(get_args(spec.Memory)): {"type": ["string", "number"], "pattern": MEMORY, "exclusiveMinimum": 0},
    _KIND: {"type": "string", "enum": list(_passing(_KIND))},
}


class _Generator(GenerateJsonSchema):
    def function_after_schema(self, schema: core_schema.AfterValidatorFunctionSchema) -> JsonSchemaValue:
        known = _TOLD.get(schema["function"]["function"])
        return dict(known) if known else super().function_after_schema(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Keys with a pattern: others are wrong, where JSON Schema's own form would let them pass."""
        found = super().dict_schema(schema)
        for pattern, values in found.pop("patternProperties", {}).items():
            found |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}
        return found

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # a title that repeats the key hides the description in an editor


def job_file_schema() -> dict[str, Any]:
    """JSON Schema of a job file, in the dialect of 2020-12."""
    found = _tidy(Pipeline.model_json_schema(by_alias=True, schema_generator=_Generator))
    return {"$schema": DIALECT, "title": "Seatrial job file", **{key: value for key, value in found.items() if key != "title"}}


def _tidy(value: Any, *, named: bool = False) -> Any:
    """Without models' titles, without defaults that are whole objects, with descriptions in Markdown.

    ``named``: the keys are names of fields or models, not words of JSON Schema.
    """
    if isinstance(value, list):
        return [_tidy(each) for each in value]
    if not isinstance(value, dict):
        return value
    if named:
        return {key: _tidy(inner) for key, inner in value.items()}
    kept = {key: inner for key, inner in value.items() if key != "title" and not (key == "default" and isinstance(inner, dict | list))}
    return {key: _one_line(inner) if key == "description" else _tidy(inner, named=key in ("properties", "$defs")) for key, inner in kept.items()}


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")
