"""What is made from the chart's commented ``values.yaml``: ``values.schema.json``, and the table in the chart's README.

    python helm/chart_docs.py            writes both
    python helm/chart_docs.py --check    exits with 1 when one of them is not current

A key's comment stands above it and is its description. A line ``# schema: {…}`` in it adds to the key's JSON schema; everything
else of the schema follows from the default: its type, and that no other key exists.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "seatrial"
BEGIN, END = "<!-- values: made by make chart-docs -->", "<!-- end of values -->"
_DIRECTIVE = "schema:"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_TEXTS: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}  # labels, annotations, selectors
_QUANTITIES: dict[str, Any] = {"type": "object", "additionalProperties": {"type": ["string", "integer", "number"]}}
_AMOUNTS: dict[str, Any] = {
    "type": "object",
    "properties": {"requests": _QUANTITIES, "limits": _QUANTITIES},
    "required": ["requests", "limits"],
    "additionalProperties": False,
}
_OPEN: dict[str, dict[str, Any]] = {
    "resources": _AMOUNTS,
    "hard": _QUANTITIES,
    "tolerations": {"type": "array", "items": {"type": "object"}},
}  # by the key's name


@dataclass
class Key:
    """One key of the values. A group has keys below it; a leaf has a default and a description."""

    path: tuple[str, ...]
    default: Any
    description: str = ""
    directive: dict[str, Any] = field(default_factory=dict)
    children: list[Key] = field(default_factory=list)


def keys(text: str) -> list[Key]:
    """The tree of keys, in the file's order."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    return _keys(root, yaml.safe_load(text), text.splitlines(), ())


def _keys(node: yaml.MappingNode, values: dict[str, Any], lines: list[str], above: tuple[str, ...]) -> list[Key]:
    found = []
    for name, value in node.value:
        key = Key((*above, name.value), values[name.value], *_comment(lines, name.start_mark.line))
        if _is_group(key, value):
            key.children = _keys(value, key.default, lines, key.path)
        found.append(key)
    return found


def _is_group(key: Key, node: yaml.Node) -> bool:
    """A map whose keys are the chart's own. One in braces, or known by its name, is a value that the user writes as a whole."""
    return isinstance(node, yaml.MappingNode) and not node.flow_style and key.path[-1] not in _OPEN and not key.directive


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, Any]]:
    """Description and schema directive from the comment lines right above a key."""
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    said = [each.strip().removeprefix("#").strip() for each in lines[first:line]]
    directives = [each.removeprefix(_DIRECTIVE) for each in said if each.startswith(_DIRECTIVE)]
    words = " ".join(each for each in said if not each.startswith(_DIRECTIVE))
    return words, {name: part for each in directives for name, part in yaml.safe_load(each).items()}


def schema(tree: list[Key]) -> dict[str, Any]:
    top = _object(tree)
    top["properties"]["global"] = {"type": "object"}  # Helm's own; the chart reads nothing of it
    return {"$schema": "https://json-schema.org/draft-07/schema#", "title": "Values of the chart seatrial", **top}


def _object(children: list[Key]) -> dict[str, Any]:
    return {"type": "object", "properties": {key.path[-1]: _schema(key) for key in children}, "additionalProperties": False}


def _schema(key: Key) -> dict[str, Any]:
    if key.children:
        return _object(key.children)
    known: dict[str, Any] = _OPEN.get(key.path[-1]) or (_TEXTS if isinstance(key.default, dict) else {"type": _TYPES[type(key.default)]})
    return {"description": key.description, **known, **key.directive}


def leaves(tree: list[Key]) -> Iterator[Key]:
    for key in tree:
        yield from leaves(key.children) if key.children else (key,)


def table(tree: list[Key]) -> str:
    rows = [f"| `{'.'.join(key.path)}` | `{_shown(key.default)}` | {_cell(key.description)} |" for key in leaves(tree)]
    return "\n".join(["| Key | Default | What it is |", "|---|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def products(chart: Path = CHART) -> dict[Path, str]:
    """File to the text that it should have."""
    tree = keys((chart / "values.yaml").read_text())
    readme = chart / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    after = rest.split(END)[1]
    return {
        chart / "values.schema.json": json.dumps(schema(tree), indent=2, ensure_ascii=False) + "\n",
        readme: f"{before}{BEGIN}\n\n{table(tree)}\n\n{END}{after}",
    }


def stale(chart: Path = CHART) -> list[Path]:
    return [path for path, text in products(chart).items() if not path.exists() or path.read_text() != text]


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        for path in (found := stale()):
            print(f"{path.name} is not current: run make chart-docs", file=sys.stderr)
        return 1 if found else 0
    for path, text in products().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
