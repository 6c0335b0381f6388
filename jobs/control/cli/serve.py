"""``seatrial serve``"""

from __future__ import annotations

import os
from typing import Any

import click

from jobs.control.cli.output import moment, output_option, print_fields, print_json, print_table
from jobs.control.cli.top import top


@click.group("serve", epilog="Example: seatrial serve up flights")
def command() -> None:
    """The service that answers predictions from a model's champion."""


command.add_command(top)


@command.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--port", default=8000, show_default=True, help="On loopback.")
def up(models: tuple[str, ...], port: int) -> None:
    """Start the service for one MODEL, or several side by side, and leave it up; it follows each model's champion.

    The first one also answers at the short paths, such as /predict; all of them at /models/MODEL/predict.
    """
    from jobs.control.home import Home
    from jobs.control.services import Services

    home = Home.find()
    home.create()
    services = Services(home, models=tuple(dict.fromkeys(models)), port=port)
    services.start(cpus=os.cpu_count() or 1, keep=True)
    try:
        url = services.url()
    except BaseException:
        services.stop()
        raise
    click.echo(f"{'was up already' if services.reused else 'up'}: {url}  (open it in a browser; end it with: seatrial serve down)")


@command.command()
@output_option
def status(output: str) -> None:
    """Whether the service is up, which versions answer, and the steps of the rollout."""
    from jobs.control.home import Home
    from jobs.control.rollout.service_status import service_status

    found = service_status(Home.find())
    if output == "json":
        print_json(found)
    elif not found["up"]:
        click.echo("no service is up here; start one with: seatrial serve up MODEL")
    else:
        for each in (found, *({"up": True, "url": found["url"], **other} for other in found["others"])):
            _print_status(each)


def _print_status(found: dict[str, Any]) -> None:
    print_fields(
        {key: found[key] for key in ("up", "url", "model", "ready", "answers") if key in found} | ({"problem": found["problem"]} if found["problem"] else {})
    )
    if found["traffic"]:
        columns = ["version", "role", "requests", "failed", "p50_ms", "p99_ms", "mean_score"]
        print_table([name.replace("_", " ") for name in columns], [[version.get(name, "-") for name in columns] for version in found["traffic"]])
    if found["steps"]:
        rows = [(step["revision"], moment(step["started"]), step["step"], step["by"], step["reason"]) for step in found["steps"]]
        print_table(["step", "when (UTC)", "what", "by", "reason"], rows)


@command.command()
def down() -> None:
    """Stop the service and its Ray."""
    from jobs.control.home import Home
    from jobs.control.services import stop_service

    click.echo("stopped" if stop_service(Home.find()) else "no service was up here")
