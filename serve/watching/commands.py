"""``seatrial drift``"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jobs.control.cli.output import output_option, print_fields, print_json, print_table

if TYPE_CHECKING:
    from jobs.control.home import Home

HOURS = 24.0


@click.group("drift", epilog="Example: seatrial drift report flights --html drift.html")
def command() -> None:
    """Live traffic against the training data, from the prediction log."""


@command.command()
@click.argument("model")
@click.option("--hours", type=click.FloatRange(0, min_open=True), default=HOURS, show_default=True, help="How far to look back.")
@click.option("--limit", type=click.FloatRange(0, min_open=True), default=0.2, show_default=True, help="Stability index from which a column has drifted.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write the report with its plots to this file.")
@output_option
def report(model: str, hours: float, limit: float, html: Path | None, output: str) -> None:
    """Compare what MODEL was asked with what it was trained on. MODEL is a name (its champion), NAME/VERSION or NAME@ALIAS."""
    from jobs.contracts import storage
    from jobs.control.catalog import find_model
    from jobs.control.home import Home
    from serve.watching import drift_report

    home = Home.find()
    version = find_model(home, model)
    made = drift_report.make(log_folder(home, version.name), version, hours=hours, psi_limit=limit)
    if html is not None:
        storage.write_bytes(str(html.absolute()), drift_report.page(made).encode())
    if output == "json":
        print_json(plain(made))
        return
    rows = [(each.name, "DRIFTED" if each.drifted else "", f"{each.rows:,}", *_numbers(each)) for each in made.columns]
    print_table(["column", "", "rows", "PSI", "by chance", "KS", "by chance"], rows)
    verdict = ", ".join(made.drifted) or ("nothing" if made.rows else "no traffic to look at")
    print_fields({"model": f"{made.model} version {made.version}", "rows": f"{made.rows:,}", "drifted": verdict} | ({"report": html} if html else {}))


@command.command()
@click.argument("model")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@output_option
def labels(model: str, file: Path, output: str) -> None:
    """Keep labels that arrived for MODEL's predictions: a CSV or Parquet FILE with request_id, label and, where a request had several, row."""
    from jobs.control.home import Home
    from serve.watching import late_labels

    rows, new = late_labels.add(log_folder(Home.find(), model), file)
    if output == "json":
        print_json({"labels": rows, "new": new})
    else:
        click.echo(f"{rows:,} labels {'kept' if new else 'were here already'}; look at  seatrial drift quality {model}")


@command.command()
@click.argument("model")
@click.option("--hours", type=click.FloatRange(0, min_open=True), default=None, help="How far to look back.  [default: all that is logged]")
@output_option
def quality(model: str, hours: float | None, output: str) -> None:
    """How good MODEL's live answers were, by version, as far as their labels are known."""
    from jobs.control.home import Home
    from serve.watching import quality as measuring

    home = Home.find()
    found = measuring.measure(log_folder(home, model), thresholds(home, model), since=_since(hours))
    if output == "json":
        print_json([{**asdict(each), "metrics": {name: value.model_dump() for name, value in each.metrics.items()}} for each in found])
        return
    names = list(dict.fromkeys(name for each in found for name in each.metrics))
    rows = [
        (each.version, "shadow" if each.trial else "", f"{each.rows:,}", f"{each.labelled:,}", *(_interval(each.metrics.get(name)) for name in names))
        for each in found
    ]
    print_table(["version", "", "answers", "labelled", *(f"{name} (95 % interval)" for name in names)], rows)
    if found and not names:
        click.echo(f"metrics need {measuring.ENOUGH} labels of both kinds: seatrial drift labels {model} FILE")


def log_folder(home: Home, model: str) -> Path:
    """Where the services of this home log a model's predictions, or where SEATRIAL_PREDICTIONS says."""
    from serve.watching.rows import model_folder
    from serve.watching.settings import from_environment

    return model_folder(from_environment(home.tracking_uri).folder or home.root / "predictions", model)


def thresholds(home: Home, model: str) -> dict[str, float]:
    """Each registered version's own, as far as its bundle can be read."""
    from jobs.contracts.errors import SeatrialError
    from jobs.control import artefacts
    from jobs.control.registry_reader import list_versions

    found = {}
    for version in list_versions(home.tracking_uri, model):
        try:
            found[version.version] = artefacts.describe(version).threshold
        except SeatrialError:
            continue
    return found


def plain(report: Any) -> dict[str, Any]:
    """A report for JSON."""
    from serve.watching.drift import finite

    columns = [asdict(each) for each in report.columns]
    for column in columns:
        column |= {name: finite(column[name]) for name in ("psi", "psi_by_chance", "ks", "ks_by_chance")}
    return {name: getattr(report, name) for name in ("model", "version", "since", "until", "rows", "drifted")} | {"columns": columns}


def _numbers(each: Any) -> tuple[str, ...]:
    from serve.watching.drift import finite

    values = (finite(value) for value in (each.psi, each.psi_by_chance, each.ks, each.ks_by_chance))
    return tuple("-" if value is None else f"{value:.3f}" for value in values)


def _interval(found: Any) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})" if found else "-"


def _since(hours: float | None) -> float:
    import time

    return 0.0 if hours is None else time.time() - 3600 * hours
