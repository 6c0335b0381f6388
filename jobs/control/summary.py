"""The page of numbers at the end of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from jobs.contracts import storage
from jobs.contracts.errors import SeatrialError
from jobs.contracts.job import Product
from jobs.control.cli.output import print_fields, print_table
from jobs.control.home import Home
from jobs.control.runs import RunRecord, StepRecord

_CLOUDS = ("sagemaker", "azureml")


def print_summary(record: RunRecord, home: Home, *, kept: bool) -> None:
    click.echo()
    for step in record.steps.values():
        _print_step(step)
    click.echo()
    print_table(["step", "seconds", ""], [(name, f"{step.seconds:.1f}", "reused" if step.reused else "") for name, step in record.steps.items()])
    print_fields(dict(_closing(record, home, kept)))


def _print_step(step: StepRecord) -> None:
    if printer := _PRINTERS.get(step.kind):
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
    print_fields({"verdict": f"{verdict}: {' '.join(summary.get('reasons', ()))}", "report": _report(summary, outputs["report"].uri)})


def _report(summary: Mapping[str, Any], uri: str) -> str:
    """Where it lies for the reader: a path within a container means nothing here."""
    told = str(summary.get("report", ""))
    return told if told.startswith(uri) else storage.join(uri, told.rsplit("/", 1)[-1])


def _interval(value: Mapping[str, float] | None) -> str:
    return f"{value['value']:.4f} ({value['low']:.4f} to {value['high']:.4f})" if value else "-"


def _print_predictions(summary: Mapping[str, Any], outputs: Mapping[str, Product]) -> None:
    rejected = ", ".join(f"{rows:,} {why}" for why, rows in summary.get("rejected", {}).items()) or "none"
    kept = f", of which {summary['made_before']:,} were there already" if summary.get("made_before") else ""
    speed = f" at {summary.get('rows_per_second', 0):,} rows/s" if not summary.get("made_before") else ""
    where = next((product.uri for product in outputs.values()), "-")
    answered = f"{summary.get('predicted', 0):,} of {summary.get('rows', 0):,} rows{kept}{speed}"
    click.echo()
    print_fields({"predicted": answered, "rejected": rejected, "model": f"{summary.get('model')} {str(summary.get('bundle'))[:12]}", "lies in": where})


def _print_search(summary: Mapping[str, Any], outputs: Mapping[str, Product]) -> None:
    trials = ", ".join(f"{count} {state}" for state, count in summary.get("trials", {}).items())
    params = ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in summary.get("params", {}).items())
    click.echo()
    print_fields({f"best {summary.get('metric')}": f"{summary.get('value', 0):.5f}", "parameters": params, "trials": trials, "report": summary.get("report")})


def _print_folds(summary: Mapping[str, Any], outputs: Mapping[str, Product]) -> None:
    metrics: dict[str, Any] = summary.get("metrics", {})
    compared: dict[str, Any] = summary.get("comparison", {})
    rows = [
        (name, *(_interval(metrics[role].get(name)) for role in metrics), *([_interval(compared[name]["difference"])] if compared else []))
        for name in metrics.get("model", {})
    ]
    click.echo()
    print_table([f"mean of {summary.get('folds')} folds (95 % interval)", *metrics, *(["difference"] if compared else [])], rows)
    print_fields({"report": summary.get("report"), "model card": summary.get("card")})


def _print_service(summary: Mapping[str, Any], _: Mapping[str, Product]) -> None:
    difference = (
        f"{summary.get('rows_compared', 0):,} test rows sent to the live service; online and offline differ by at most {summary.get('max_difference', 0):.1e}"
    )
    click.echo()
    print_fields({"checked": difference})


_PRINTERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Product]], None]] = {
    "etl": _print_data,
    "tune": _print_search,
    "cross-validate": _print_folds,
    "evaluate": _print_metrics,
    "predict": _print_predictions,
    "deploy": _print_service,
}


def _closing(record: RunRecord, home: Home, kept: bool) -> Iterator[tuple[str, object]]:
    yield "run", f"{record.run} ({record.seconds:.1f} s)"
    deployed = next((step for step in record.steps.values() if step.kind == "deploy"), None)
    if deployed and deployed.summary:
        yield "model", f"{record.pipeline} version {deployed.summary.get('model_version')}"
        yield "service", f"{deployed.summary.get('url')} {_service_state(record.target, deployed.handle, kept)}"
    yield "look at", _next_commands(record, home)


def _service_state(target: str, handle: str, kept: bool) -> str:
    if target in _CLOUDS:
        return f"stays up, and costs what an endpoint costs until it is deleted: seatrial stop {handle}"
    if target != "local":
        return f"(as the {target} target's pods and nodes see it) stays up"
    return "is up; end it with: seatrial serve down" if kept else "was stopped; --keep leaves it up"


def _next_commands(record: RunRecord, home: Home) -> str:
    if record.target in _CLOUDS:  # the model is in the cloud's own registry
        return f"seatrial status {record.run}"
    try:
        home.root.relative_to(home.root.cwd())
    except (SeatrialError, ValueError):
        return f"SEATRIAL_HOME={home.root} seatrial models lineage {record.pipeline}"
    return f"seatrial models lineage {record.pipeline}; seatrial data show {record.pipeline}"
