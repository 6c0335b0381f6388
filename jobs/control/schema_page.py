"""The job file's reference page: every field in words, made from the same models as the JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jobs.control.schema import LABEL, MEMORY, TIME, job_file_schema
from jobs.control.spec import Pipeline

_PATTERNS = {TIME: "time: `90s`, `30m`, `2h`", MEMORY: "memory: `512Mi`, `2Gi`", LABEL: "DNS label, at most 30 characters"}
_WORDS = {"string": "text", "boolean": "true or false"}
_BOUNDS = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))


def reference() -> str:
    """Every field of the job file as Markdown: one table for each model, a model after the one that mentions it."""
    definitions = job_file_schema()["$defs"]
    return "\n".join(line for path, model in models() for line in _section(path, model, definitions)).rstrip()


def models() -> Iterator[tuple[str, type[BaseModel]]]:
    """Each model with the place of its keys in the file."""
    waiting: list[tuple[str, type[BaseModel]]] = [("", Pipeline)]
    while waiting:
        path, model = waiting.pop(0)
        yield path, model
        inner = [(_join(path, field.alias or name, field), each) for name, field in model.model_fields.items() for each in _inner_models(field.annotation)]
        waiting = inner + waiting


def _inner_models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _inner_models(part)


def _join(path: str, name: str, field: FieldInfo) -> str:
    inner = ".<name>" if getattr(field.annotation, "__origin__", None) is dict else ""
    return f"{path}.{name}{inner}".removeprefix(".")


def _section(path: str, model: type[BaseModel], definitions: dict[str, Any]) -> Iterator[str]:
    schema = job_file_schema() if model is Pipeline else definitions[model.__name__]
    yield f"### {f'`{path}`' if path else 'The file'}\n"
    yield f"{schema.get('description', '')}\n"
    yield "| key | value | default | meaning |\n|---|---|---|---|"
    for name, field in schema["properties"].items():
        default = "required" if name in schema.get("required", ()) else _default(field, definitions)
        yield f"| `{name}` | {_value(field, definitions)} | {default} | {_meaning(field, definitions)} |"
    yield ""


def _default(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    default = field.get("default")
    return "" if default in (None, "") or "$ref" in field else f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _value(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    """What may stand there, in words."""
    if "$ref" in field:
        target = definitions[field["$ref"].rsplit("/", 1)[-1]]
        return _value(target, definitions) if "enum" in target else "mapping, see below"
    if "anyOf" in field:
        return " or ".join(_value(each, definitions) for each in field["anyOf"] if each.get("type") != "null")
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    if field.get("pattern") in _PATTERNS:
        return _PATTERNS[field["pattern"]]
    return _plain(field, definitions)


def _plain(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    kind = field.get("type", "any")
    if kind == "array":
        return f"list of {_value(field['items'], definitions)}"
    if kind == "object":
        inner = field.get("additionalProperties")
        return f"name to {_value(inner, definitions)}" if isinstance(inner, dict) else "mapping"
    return " ".join([_WORDS.get(kind, kind), *(f"{word} {field[key]}" for key, word in _BOUNDS if key in field)])


def _meaning(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    # pydantic leaves a field's own text out where it equals that of its model.
    model = definitions[field["$ref"].rsplit("/", 1)[-1]] if "$ref" in field else {}
    return str(field.get("description") or model.get("description", "")).replace("|", "\\|")
