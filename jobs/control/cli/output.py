"""Tables for people, JSON for scripts. Data goes to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

output_option: Callable[[Any], Any] = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="json: for scripts."
)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, title=title or None, box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    # A pipe has no width: a row must not be cut or folded there.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def print_fields(fields: Mapping[str, object]) -> None:
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        click.echo(f"{name:<{width}}  {value}")


def moment(seconds: float) -> str:
    """Seconds since 1970 as UTC text."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S") if seconds else "-"


def short(digest: str) -> str:
    """A fingerprint as people compare it."""
    return digest[:12]
