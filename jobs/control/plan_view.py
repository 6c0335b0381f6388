"""Plans as people read them: a table for each step with the targets side by side, then the very requests as YAML.

Same plans and width, same text.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from jobs.contracts.errors import RequestError
from jobs.control import request_facts
from jobs.control.plan import Plan, Upload
from jobs.control.spec import Pipeline, Step

NO_PRICE = "no price known"


@dataclass(frozen=True)
class Column:
    """One target's plans by step, or why it cannot plan this job file."""

    target: str
    plans: Mapping[str, Plan] = field(default_factory=dict)
    error: RequestError | None = None


def render(pipeline: Pipeline, columns: Sequence[Column], width: int) -> str:
    """Tables at most ``width`` characters wide, prices' sources, and the requests of each target."""
    tables = [_table(name, pipeline.steps[name], columns, width) for name in pipeline.order()]
    requests = [_requests(column) for column in columns if column.plans]
    return "\n".join([*tables, *requests])


def as_data(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Everything exact, for scripts: each plan, and ``error`` of a target that cannot plan."""
    return [entry for column in columns for entry in _entries(column)]


def _entries(column: Column) -> Iterator[dict[str, Any]]:
    if column.error is not None:
        yield {"target": column.target, "error": {"what": column.error.what, "where": column.error.where, "hint": column.error.hint}}
    for plan in column.plans.values():
        yield plan.as_dict()


def asked(step: Step) -> str:
    """What the job file asks for a step, in a line."""
    resources = step.resources
    workers = resources.workers if isinstance(resources.workers, int) else f"{resources.workers.min} to {resources.workers.max}"
    gpu = f", {resources.gpu} gpu {resources.accelerator}".rstrip() if resources.gpu else ""
    more = [f"at most {step.time_limit}" if step.time_limit else "", f"retries {step.retries}" if step.retries else "", "spot" if step.spot else ""]
    each = f"cpu {resources.cpu:g}, memory {resources.memory}{gpu}"
    return "; ".join([f"in its own process: {each}" if workers == 0 else f"workers {workers}, each {each}", *filter(None, more)])


def _table(name: str, step: Step, columns: Sequence[Column], width: int) -> str:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_lines=False)
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(Text(column.target), overflow="fold")
    cells = [_cells(column, name) for column in columns]
    for row in max(cells, key=len):  # of a target that cannot plan there is one row alone
        if any(each.get(row) for each in cells):
            table.add_row(row, *(Text(each.get(row) or "-") for each in cells))
    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None, highlight=False, markup=False, emoji=False)
    console.print(Text(f"{name} ({step.kind})  {asked(step)}"), table, sep="\n", end="")
    for column in columns:
        if (plan := column.plans.get(name)) is not None and plan.cost is not None:
            console.print(Text(f"cost on {column.target}: {plan.cost.basis}"))
    return "\n".join(line.rstrip() for line in stream.getvalue().rstrip().splitlines()) + "\n"


def _cells(column: Column, name: str) -> dict[str, str]:
    """A step's rows in the column of one target; empty where there is nothing to say."""
    if column.error is not None:
        return {"requests": f"cannot be planned: {column.error}"}
    plan = column.plans[name]
    bodies = [request.body for request in plan.requests]
    return {
        "requests": "\n".join(request.kind for request in plan.requests),
        "job": plan.handle,
        "takes": _lines(request_facts.amounts(bodies)),
        "image": _lines(request_facts.images(bodies)),
        "outputs": _lines(f"{output}: {uri}" for output, uri in plan.outputs.items()),
        "uploads": _lines(_upload(upload) for upload in plan.uploads),
        "losses": _lines(plan.losses) or "none",
        "cost": f"{plan.cost.low:g} to {plan.cost.high:g} {plan.cost.currency}" if plan.cost else NO_PRICE,
    }


def _lines(values: Iterable[str]) -> str:
    return "\n".join(dict.fromkeys(values))


def _upload(upload: Upload) -> str:
    files = f", {upload.files} files" if upload.files > 1 else ""
    return f"{upload.source}: {size(upload.bytes)}{files}, {upload.fingerprint[:12]}"


def size(count: int) -> str:
    """Bytes with the suffixes of the job file: ``11.2Mi``."""
    for suffix, unit in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if count >= unit:
            return f"{count / unit:.1f}{suffix}"
    return f"{count} bytes"


def _requests(column: Column) -> str:
    """What would be sent, unchanged: YAML documents, each under a comment that says which."""
    parts = []
    for step, plan in column.plans.items():
        for request in plan.as_dict()["requests"]:
            parts.append(f"# {column.target} / {step}: {request['kind']}\n{dump(request['body'])}")
    return "---\n".join(["", *parts])


def dump(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=140, allow_unicode=True)
