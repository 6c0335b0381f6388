"""botocore's own model of the service, enforced in full: enums, patterns and maxima too, which botocore itself lets through.

:func:`violations` speaks as the service does ("Value 'x' at 'a.b' failed to satisfy constraint: …"), one text per violation.
"""

from __future__ import annotations

import functools
import re
import warnings
from datetime import datetime
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "list": (list, tuple),
    "map": (dict,),
    "structure": (dict,),
    "timestamp": (int, float, str, datetime),
    "blob": (str, bytes, bytearray),
}
# Java's classes inside brackets, where the models use them, and its spelling of what lies beyond 16 bits.
_CLASSES = {
    r"\p{L}": "a-zA-Z\u00c0-\uffff",
    r"\p{M}": "\u0300-\u036f",
    r"\p{N}": "0-9",
    r"\p{Z}": r"\s",
    r"\p{S}": r"$+<=>^`|~\u00a2-\u00b4",
    r"\p{P}": r"!-#%-*,-/:;?@\[-\]_{}\u00a1-\u00bf\u2010-\u2027",
    r"\p{Alnum}": "a-zA-Z0-9",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010ffff",
}
_LENGTH_AFTER_END = re.compile(r"\$\{\d+,\d+\}$")  # "(…)${1,128}": a length that two patterns give in the wrong place


@functools.cache
def service_model(service: str = "sagemaker") -> Any:
    """botocore's model, read once (0.35 s)."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def violations(operation: str, params: dict[str, Any], service: str = "sagemaker") -> list[str]:
    """What is wrong with a request; empty when nothing is.

    Errors: botocore's OperationNotFoundError for an operation that the service does not have.
    """
    shape = service_model(service).operation_model(operation).input_shape
    return list(_walk(shape, params, "")) if shape is not None else []


def _walk(shape: Any, value: Any, path: str) -> list[str]:
    if not _is(value, _TYPES[shape.type_name]):
        return [f"Value '{value}' at '{path}' failed to satisfy constraint: Member must be of type {shape.type_name}"]
    if shape.type_name == "structure":
        return _structure(shape, value, path)
    if shape.type_name == "list":
        return _sizes(shape, len(value), value, path, "length") + [each for item in value for each in _walk(shape.member, item, f"{path}.member")]
    if shape.type_name == "map":
        found = _sizes(shape, len(value), value, path, "length")
        return found + [each for key, item in value.items() for each in _walk(shape.key, key, f"{path}.key") + _walk(shape.value, item, f"{path}.{key}")]
    if shape.type_name == "string":
        return _text(shape, value, path)
    return _sizes(shape, value, value, path, "value") if shape.type_name in ("integer", "long", "float", "double") else []


def _is(value: object, expected: tuple[type, ...]) -> bool:
    """Python counts True as an integer, the service does not."""
    return isinstance(value, expected) and (not isinstance(value, bool) or bool in expected)


def _structure(shape: Any, value: dict[str, Any], path: str) -> list[str]:
    prefix = f"{path}." if path else ""
    found = [f"Value null at '{prefix}{name}' failed to satisfy constraint: Member must not be null" for name in shape.required_members if name not in value]
    for name, item in value.items():
        if name not in shape.members:
            found.append(f"Unknown parameter '{prefix}{name}'; known are: {', '.join(sorted(shape.members))}")
        elif item is not None:
            found += _walk(shape.members[name], item, prefix + name)
    if shape.is_tagged_union and len(value) != 1:
        found.append(f"Value at '{path}' failed to satisfy constraint: exactly one member must be set")
    return found


def _text(shape: Any, value: str, path: str) -> list[str]:
    found = _sizes(shape, len(value), value, path, "length")
    if shape.enum and value not in shape.enum:
        found.append(f"Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy enum value set: [{', '.join(shape.enum)}]")
    pattern = shape.metadata.get("pattern")
    if pattern and (compiled := _compiled(pattern)) and not compiled.fullmatch(value):
        found.append(f"Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy regular expression pattern: {pattern}")
    return found


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """The models' patterns are Java's; None for the few that Python cannot read (character classes beyond its own)."""
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # "[[" in a class is meant as it stands
            return re.compile(_LENGTH_AFTER_END.sub("$", pattern))
    except re.error:
        return None


def _sizes(shape: Any, size: float, value: Any, path: str, what: str) -> list[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    shown = value if isinstance(value, int | float | str) and len(str(value)) < 100 else "..."
    found = []
    if low is not None and size < low:
        found.append(f"Value '{shown}' at '{path}' failed to satisfy constraint: Member must have {what} greater than or equal to {low}")
    if high is not None and size > high:
        found.append(f"Value '{shown}' at '{path}' failed to satisfy constraint: Member must have {what} less than or equal to {high}")
    return found
