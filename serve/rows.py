"""JSON rows of a bundle's input schema to Arrow columns.

A row is an object that names every input; null is allowed everywhere, a missing or unknown name is an error. The
schema becomes a msgspec type, so that parsing, type checks and unknown names are one pass of compiled code.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from jobs.contracts.bundle import InputField
from serve.answers import Refused, check_rows

ARROW_TYPES = {"number": pa.float64(), "category": pa.string()}
JSON_TYPES: dict[str, Any] = {"number": float | None, "category": str | None}
# What msgspec says: "Expected `float | null`, got `str` - at `$[3].distance`"
_EXPECTED = re.compile(r"Expected `(?P<expected>.+?)`, got `(?P<got>\w+)`")
_NAMED = re.compile(r"Object (?P<problem>missing required|contains unknown) field `(?P<name>.*?)`(?: - at `|$)", re.DOTALL)
_PLACE = re.compile(r" - at `\$(?:\[(?P<row>\d+)\])?(?:\.(?P<field>.*))?`$", re.DOTALL)
_WORDS = {
    "float | null": "a number or null",
    "str | null": "a text or null",
    "object": "an object",
    "object | array": "an object (one row) or an array of objects",
}


class RowReader:
    """Reads request bodies of one input schema; safe from threads."""

    def __init__(self, inputs: Sequence[InputField]) -> None:
        self._inputs = tuple(inputs)
        self._names = tuple(field.name for field in inputs)
        slots = {f"f{position}": name for position, name in enumerate(self._names)}  # an input's name may be no Python identifier
        fields = [(slot, JSON_TYPES[field.kind]) for slot, field in zip(slots, inputs, strict=True)]
        row = msgspec.defstruct("Row", fields, rename=slots, forbid_unknown_fields=True, gc=False)
        self._decode = msgspec.json.Decoder(row | list[row]).decode  # type: ignore[valid-type]

    def read(self, body: bytes) -> tuple[dict[str, pa.Array], int]:
        """One row or a list of rows as JSON text to (columns in schema order, number of rows).

        Errors: Refused 400 that names the row and field, 413 for too many rows.
        """
        try:
            rows = self._decode(body)
        except msgspec.ValidationError as error:
            raise Refused(400, self._explain(str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise not_json(error) from None
        rows = rows if isinstance(rows, list) else [rows]
        check_rows(len(rows))
        values = list(zip(*map(msgspec.structs.astuple, rows), strict=True)) or [()] * len(self._inputs)
        return {field.name: pa.array(column, ARROW_TYPES[field.kind]) for field, column in zip(self._inputs, values, strict=True)}, len(rows)

    def columns(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
        """Rows that are Python mappings already; KeyError for a missing name."""
        return {field.name: pa.array([row[field.name] for row in rows], ARROW_TYPES[field.kind]) for field in self._inputs}

    def _explain(self, message: str) -> str:
        """msgspec's message in terms of rows and fields."""
        place = _PLACE.search(message)
        row = f", row {place['row']}" if place and place["row"] else ""
        if named := _NAMED.match(message):
            if named["problem"] == "missing required":
                return f"field {named['name']!r}{row} is missing: send null if its value is not known"
            return f"unknown field {named['name']!r}{row}{nearest(named['name'], self._names)}"
        where = f"field {place['field']!r}{row}" if place and place["field"] else f"the body{row}"
        if expected := _EXPECTED.match(message):
            return f"{where}: expected {_WORDS.get(expected['expected'], expected['expected'])}, got {expected['got']}"
        return f"{where}: {message.partition(' - at `')[0].lower()}"


def nearest(name: str, names: Sequence[str]) -> str:
    """``; did you mean ...`` or the list of what exists. ``name`` is a client's: bounded, because matching is quadratic."""
    close = difflib.get_close_matches(name[:100], names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; the fields are {', '.join(names)}"


def not_json(error: Exception) -> Refused:
    """The refusal of a body that is no JSON text at all."""
    reason = "nested too deeply" if isinstance(error, RecursionError) else "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    return Refused(400, f"the body is not valid JSON: {reason}")
