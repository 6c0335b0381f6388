"""Reads a job file: YAML to :class:`Pipeline`, with errors that name file, line and the nearest valid word."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from jobs.contracts.errors import SpecError, from_os_error
from jobs.control.spec import Pipeline

_PYDANTIC_ONLY = ("[key]", "constrained-int", "WorkerRange")  # parts of an error's location that are not in the file
_TELLING = ("extra_forbidden", "value_error")  # kinds of error that say most, best first


def load(path: Path, overrides: Sequence[str] = ()) -> Pipeline:
    """Read, override (``steps.train.params.seed=8``) and validate a job file.

    Errors: SpecError with file and line.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise (from_os_error(error, str(path)) if isinstance(error, OSError) else SpecError("not UTF-8 text", where=str(path))) from error
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise SpecError(f"not valid YAML: {getattr(error, 'problem', error)}", where=f"{path}:{mark.line + 1}" if mark else str(path)) from error
    if not isinstance(values, dict):
        raise SpecError("a job file is a mapping", where=str(path), hint="start with `apiVersion: seatrial/v1`; see examples/")
    for override in overrides:
        _apply(values, override)
    try:
        return Pipeline.model_validate(values)
    except ValidationError as error:
        raise _explain(error, path, root) from error


def _apply(values: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise SpecError(f"--set {override!r} is not key=value", hint="for example --set steps.train.params.seed=8")
    *parents, last = path.split(".")
    target = values
    for key in parents:
        child = target.setdefault(key, {})
        if not isinstance(child, dict):
            raise SpecError(f"--set {override!r}: {key!r} is no mapping in the job file")
        target = child
    target[last] = yaml.safe_load(text)


def _explain(error: ValidationError, path: Path, root: yaml.Node | None) -> SpecError:
    # A misspelt key also makes "Field required" of the right one, and a rule of ours beats "not an integer" of a union.
    first = min(error.errors(), key=lambda each: _TELLING.index(each["type"]) if each["type"] in _TELLING else len(_TELLING))
    location = tuple(str(part) for part in first["loc"] if part not in _PYDANTIC_ONLY)
    where = f"{path}:{_line(root, location)}"
    dotted = ".".join(location) or "the file"
    hint = ""
    if first["type"] == "extra_forbidden":
        names = _known_names(location[:-1])
        near = difflib.get_close_matches(location[-1], names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(names)}"
        message = f"{dotted}: unknown key"
    else:
        message = f"{dotted}: {first['msg'].removeprefix('Value error, ')}"
    if len(error.errors()) > 1:
        hint = f"{hint}\n  ({len(error.errors()) - 1} more after this one)".strip()
    return SpecError(message, where=where, hint=hint)


def _line(node: yaml.Node | None, location: tuple[str, ...]) -> int:
    """Line (from 1) of the deepest node on the way to a location."""
    line = node.start_mark.line + 1 if node else 1
    for key in location:
        if not isinstance(node, yaml.MappingNode):
            break
        found = next(((k, v) for k, v in node.value if k.value == key), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _known_names(location: tuple[str, ...]) -> list[str]:
    """Keys that the schema knows at a place: walks the models along the location."""
    model: Any = Pipeline
    for key in location:
        model = _child(model, key)
    if isinstance(model, type) and issubclass(model, BaseModel):
        return [field.alias or name for name, field in model.model_fields.items()]
    return []


def _child(model: Any, key: str) -> Any:
    """The model below a key of a model, or below any key of a mapping of models."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        field = next((field for name, field in model.model_fields.items() if key in (name, field.alias)), None)
        annotation: Any = field.annotation if field else None
    else:
        annotation = model
    arguments = [part for part in getattr(annotation, "__args__", ()) if isinstance(part, type) and issubclass(part, BaseModel)]
    if getattr(annotation, "__origin__", None) is dict and model is not annotation:
        return annotation
    return arguments[0] if arguments else annotation
