"""``seatrial plan``"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from jobs.control.home import Home
    from jobs.control.plan_view import Column
    from jobs.control.spec import Pipeline

_PIPE_WIDTH = 200  # characters: a pipe has no width of its own


@click.command(
    "plan",
    epilog="""\b
Examples:
  seatrial plan examples/flights/pipeline.yaml
  seatrial plan examples/flights/pipeline.yaml --on all
  seatrial plan examples/flights/pipeline.yaml --on kubernetes --check
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--on", "target", default="local", show_default=True, help="Target to plan for; all: every target side by side.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of the job file; may be repeated.")
@click.option("--output", type=click.Choice(["text", "yaml", "json"]), default="text", show_default=True, help="yaml, json: everything exact.")
@click.option("--check", is_flag=True, help="Also ask the target whether it would take the plan; this needs the network.")
def command(file: Path, target: str, overrides: tuple[str, ...], output: str, check: bool) -> None:
    """Show what a run would send to a target, step by step. Needs no network and changes nothing.

    Costs come from a price file: SEATRIAL_PRICES, prices.yaml in the store, or the packaged one.
    """
    from jobs.control.backend import BACKENDS
    from jobs.control.home import Home
    from jobs.control.spec_file import load

    home = Home.find()
    pipeline = load(file, overrides)
    columns = [_column(file, home, pipeline, each, overrides) for each in (BACKENDS if target == "all" else [target])]
    _end_if_none_can(columns)
    click.echo(_shown(pipeline, columns, output), nl=output == "json")
    if check and not _check(home, pipeline, columns):
        raise click.exceptions.Exit(1)


def _column(file: Path, home: Home, pipeline: Pipeline, target: str, overrides: Sequence[str]) -> Column:
    from jobs.contracts.errors import RequestError
    from jobs.control.plan_view import Column
    from jobs.control.planning import preview
    from jobs.control.prices import load_prices, with_price

    prices = load_prices(home)
    try:
        plans = preview(file, home, target, overrides)
    except RequestError as error:
        return Column(target, error=error)
    return Column(target, {plan.step: with_price(plan, pipeline.steps[plan.step], prices) for plan in plans})


def _end_if_none_can(columns: Sequence[Column]) -> None:
    """The errors of all targets, when there is nothing else to show."""
    errors = [column.error for column in columns if column.error is not None]
    if len(errors) < len(columns):
        return
    for column in columns[1:]:
        if str(column.error) != str(errors[0]):
            click.echo(f"{column.target}: {column.error}", err=True)
    raise errors[0]


def _shown(pipeline: Pipeline, columns: Sequence[Column], output: str) -> str:
    from jobs.control.plan_view import as_data, render

    if output == "text":
        import shutil

        return render(pipeline, columns, shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH)
    if output == "json":
        import json

        return json.dumps(as_data(columns), indent=2)
    import yaml

    return yaml.safe_dump_all(as_data(columns), sort_keys=False, width=140)


def _check(home: Home, pipeline: Pipeline, columns: Sequence[Column]) -> bool:
    """Print what the targets say about their plans, to standard error; True when all is well."""
    from jobs.contracts.errors import SeatrialError
    from jobs.control.backend import open_backend

    well = True
    for column in columns:
        backend = open_backend(column.target, home, pipeline.targets) if column.plans else None
        try:
            causes = dict.fromkeys(cause for plan in column.plans.values() for cause in (backend.check(plan) if backend else []))
            said = [f"{cause.what}\n  next: {cause.hint}" + (f"\n  it says: {cause.evidence}" if cause.evidence else "") for cause in causes]
        except SeatrialError as error:
            said = [str(error)]
        if backend:
            click.echo("\n".join(f"check {column.target}: {line}" for line in said or ["nothing stands in the way"]), err=True)
        well = well and not said
    return well
