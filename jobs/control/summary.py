"""The page of numbers at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from jobs.contracts.errors import SeatrialError
from jobs.contracts.job import Product
from jobs.control.cli.output import print_fields, print_table
from jobs.control.home import Home
from jobs.control.runs import RunRecord, StepRecord


def print_summary(record: RunRecord, home: Home, *, kept: bool) -> None:
    click.echo()
    for step in record.steps.values():
        _print_step(step)
    click.echo()
    print_table(["step", "seconds", ""], [(name, f"{step.seconds:.1f}", "reused" if step.reused else "") for name, step in record.steps.items()])
    print_fields(dict(_closing(record, home, kept)))


def _print_step(step: StepRecord) -> None:
    printer = {"etl": _print_data, "evaluate": _print_metrics, "deploy": _print_service}.get(step.kind)
    if printer:
        printer(step.summary, step.outputs)


def _print_data(summary: Mapping[str, Any], _: Mapping[str, Product]) -> None:
    rows = summary.get("rows", {})
    parts = ", ".join(f"{part} {count:,}" for part, count in rows.items())
    print_fields(
        {"dataset": f"{sum(rows.values()):,} rows: {parts}", "left out": ", ".join(f"{n:,} {why}" for why, n in summary.get("rejected", {}).items()) or "none"}
    )


def _print_metrics(summary: Mapping[str, Any], outputs: Mapping[str, Product]) -> None:
    metrics: dict[str, Any] = summary.get("metrics", {})
    names = [name for name in ("model", "baseline", "champion") if metrics.get(name)]
    rows = [(metric, *(_interval(metrics[name].get(metric)) for name in names)) for metric in metrics.get("model", {})]
    click.echo()
    print_table(["test part (95 % interval)", *names], rows)
    verdict = "champion" if summary.get("champion") else "challenger"
    print_fields({"verdict": f"{verdict}: {' '.join(summary.get('reasons', ()))}", "report": summary.get("report") or outputs["report"].uri})


def _interval(value: Mapping[str, float] | None) -> str:
    return f"{value['value']:.4f} ({value['low']:.4f} to {value['high']:.4f})" if value else "-"


def _print_service(summary: Mapping[str, Any], _: Mapping[str, Product]) -> None:
    difference = (
        f"{summary.get('rows_compared', 0):,} test rows sent to the live service; online and offline differ by at most {summary.get('max_difference', 0):.1e}"
    )
    click.echo()
    print_fields({"checked": difference})


def _closing(record: RunRecord, home: Home, kept: bool) -> Iterator[tuple[str, object]]:
    yield "run", f"{record.run} ({record.seconds:.1f} s)"
    service = next((step.summary for step in record.steps.values() if step.kind == "deploy"), None)
    if service:
        yield "model", f"{record.pipeline} version {service.get('model_version')}"
        yield "service", f"{service.get('url')} {_service_state(record.target, kept)}"
    yield "look at", _next_commands(record, home)


def _service_state(target: str, kept: bool) -> str:
    if target != "local":
        return f"(as the {target} target's pods and nodes see it) stays up"
    return "is up; end it with: seatrial serve down" if kept else "was stopped; --keep leaves it up"


def _next_commands(record: RunRecord, home: Home) -> str:
    try:
        home.root.relative_to(home.root.cwd())
    except (SeatrialError, ValueError):
        return f"SEATRIAL_HOME={home.root} seatrial models lineage {record.pipeline}"
    return f"seatrial models lineage {record.pipeline}; seatrial data show {record.pipeline}"
