"""What a target reports, in plain words: event texts, conditions, error messages and log lines to causes.

``match`` looks at each line alone; the first row of the table that knows a line speaks for it, so the order is from specific to
general. Every row is tested on texts that real clusters wrote (``tests/jobs/control/events``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from jobs.control.backend import Cause
from jobs.control.causes.row import Row
from jobs.control.causes.table import HEALTHY, TABLE

_EVIDENCE = 300  # characters of the target's own words that are shown


def match(texts: Sequence[str]) -> list[Cause]:
    """Causes that the texts speak of, the most specific first, each name once; none for what a healthy start looks like.

    A text may be a line, a whole log, or the content of an ``error.json``: that is the step's own account and comes first.
    """
    accounts = [told for text in texts if (told := _account(text))]
    lines = [line for text in texts if not _account(text) and not re.match(HEALTHY, text) for line in text.splitlines()]
    found = _first_of_each_name([*map(_own_words, accounts), *_spoken(lines)])
    certain = [cause for cause in found if not _is_vague(cause)]
    return certain or found


def _spoken(lines: Sequence[str]) -> Iterator[Cause]:
    """Causes in the order of the table; of one row, the first line."""
    spoken: dict[Row, tuple[str, re.Match[str]]] = {}
    for line in lines:
        if hit := _row_of(line):
            spoken.setdefault(hit[0], (line, hit[1]))
    for row in TABLE:
        if row in spoken:
            line, groups = spoken[row]
            yield Cause(row.name, row.says(groups), row.hint, _shown(line, groups))


def _row_of(line: str) -> tuple[Row, re.Match[str]] | None:
    return next(((row, groups) for row in TABLE if (groups := re.search(row.pattern, line))), None)


def _first_of_each_name(causes: Sequence[Cause]) -> list[Cause]:
    kept: dict[str, Cause] = {}
    for cause in causes:
        kept.setdefault(cause.name, cause)
    return list(kept.values())


def _is_vague(cause: Cause) -> bool:
    return any(row.vague for row in TABLE if row.name == cause.name)


def _account(text: str) -> dict[str, str] | None:
    """The content of an ``error.json``, or None for any other text."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return told if isinstance(told, dict) and told.get("what") else None


def _own_words(told: dict[str, str]) -> Cause:
    """A step that said why it failed said it best; the table only names it and helps where the step had no advice."""
    hit = next(filter(None, map(_row_of, str(told["what"]).splitlines())), None)
    name, hint = (hit[0].name, hit[0].hint) if hit else ("step-failed", "read the step's log")
    return Cause(name, str(told["what"]), told.get("hint") or hint, evidence=told.get("where") or "")


def _shown(line: str, groups: re.Match[str]) -> str:
    """The line, or of a very long one the part that was recognised."""
    line = line.strip()
    if len(line) <= _EVIDENCE:
        return line
    start = max(0, min(groups.start() - 20, len(line) - _EVIDENCE))
    return f"{'…' if start else ''}{line[start : start + _EVIDENCE]}…"
