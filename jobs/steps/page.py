"""One self-contained HTML page of tables and plots, in the look of the evaluation's report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from jobs.steps.plots import Plot

TEMPLATE = "page.html.j2"
_REPORT = "report.html.j2"  # whose style sheet this page shares


@dataclass(frozen=True)
class Table:
    """``rows`` are texts; columns from ``numbers`` on are aligned to the right. ``marked``: rows that stand out."""

    title: str
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: int = 1
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Page:
    kind: str
    title: str
    lead: str
    facts: Mapping[str, str]
    tables: Sequence[Table]
    plots: Sequence[Plot] = ()
    notes: Sequence[str] = field(default=())


def render(page: Page) -> str:
    """Text from the data is escaped; only the plots' own SVG is inserted as it is."""
    folder = Path(__file__).parent
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style = re.search(r"<style>.*?</style>", (folder / _REPORT).read_text(), re.DOTALL)
    return environment.get_template(TEMPLATE).render(page=page, style=style[0] if style else "")
