"""JSON rows of a bundle's input schema: ``/predict``'s format.

A row is an object that names every input; null is allowed everywhere, a missing or unknown name is an error. The
schema becomes a msgspec type, so that parsing, type checks and unknown names are one pass of compiled code.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from jobs.contracts.bundle import InputField
from serve.answers import Refused, check_rows

Row = tuple[Any, ...]
JSON_TYPES: dict[str, Any] = {"number": float | None, "category": str | None, "text": str | None}
# What msgspec says: "Expected `float | null`, got `str` - at `$[3].distance`"
_EXPECTED = re.compile(r"Expected `(?P<expected>.+?)`, got `(?P<got>\w+)`")
_NAMED = re.compile(r"Object (?P<problem>missing required|contains unknown) field `(?P<name>.*?)`(?: - at `|$)", re.DOTALL)
_PLACE = re.compile(r" - at `\$(?:\[(?P<row>\d+)\])?(?:\.(?P<field>.*))?`$", re.DOTALL)
_WORDS = {
    "float | null": "a number or null",
    "str | null": "a text or null",
    "object": "an object",
    "array": "an array of objects",
    "object | array": "an object (one row) or an array of objects",
}


class RowColumns(Mapping[str, list[Any]]):
    """Rows seen as columns; turned around only where somebody looks, which is after the answer."""

    def __init__(self, places: Mapping[str, int], rows: Sequence[Row]) -> None:
        self._places, self.rows = places, rows

    def __getitem__(self, name: str) -> list[Any]:
        place = self._places[name]
        return [row[place] for row in self.rows]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class RowReader:
    """Reads request bodies of one input schema; safe from threads. Rows come out as tuples in schema order."""

    def __init__(self, inputs: Sequence[InputField]) -> None:
        self.names = tuple(field.name for field in inputs)
        self.places = {name: place for place, name in enumerate(self.names)}
        slots = {f"f{position}": name for position, name in enumerate(self.names)}  # an input's name may be no Python identifier
        fields = [(slot, JSON_TYPES[field.kind]) for slot, field in zip(slots, inputs, strict=True)]
        row = msgspec.defstruct("Row", fields, rename=slots, forbid_unknown_fields=True, gc=False)
        self._decode = msgspec.json.Decoder(row | list[row]).decode  # type: ignore[valid-type]
        lines = msgspec.json.Decoder(row)
        self._decode_lines = lines.decode_lines

    def read(self, body: bytes | msgspec.Raw) -> list[Row]:
        """One row or a list of rows as JSON text.

        Errors: Refused 400 that names the row and field, 413 for too many rows.
        """
        return self._read(self._decode, body)

    def read_lines(self, body: bytes) -> list[Row]:
        """One row per line. Errors: as :meth:`read`."""
        return self._read(self._decode_lines, body)

    def _read(self, decode: Any, body: bytes | msgspec.Raw) -> list[Row]:
        try:
            found = decode(body)
        except msgspec.ValidationError as error:
            raise Refused(400, self._explain(str(error))) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise not_json(error) from None
        if not isinstance(found, list):
            return [msgspec.structs.astuple(found)]
        check_rows(len(found))
        return [msgspec.structs.astuple(row) for row in found]

    def row(self, values: Mapping[str, Any]) -> Row:
        """A row that is a Python mapping already; KeyError for a missing name."""
        return tuple(values[name] for name in self.names)

    def _explain(self, message: str) -> str:
        """msgspec's message in terms of rows and fields."""
        place = _PLACE.search(message)
        row = f", row {place['row']}" if place and place["row"] else ""
        if named := _NAMED.match(message):
            if named["problem"] == "missing required":
                return f"field {named['name']!r}{row} is missing: send null if its value is not known"
            return f"unknown field {named['name']!r}{row}{nearest(named['name'], self.names)}"
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
