"""``seatrial serve``"""

from __future__ import annotations

import os

import click

from jobs.control.cli.output import output_option, print_fields, print_json


@click.group("serve", epilog="Example: seatrial serve up flights")
def command() -> None:
    """The service that answers predictions from a model's champion."""


@command.command()
@click.argument("model")
@click.option("--port", default=8000, show_default=True, help="On loopback.")
def up(model: str, port: int) -> None:
    """Start the service for MODEL and leave it up; it follows the model's champion."""
    from jobs.control.home import Home
    from jobs.control.services import Services

    home = Home.find()
    home.create()
    services = Services(home, model=model, port=port)
    services.start(cpus=os.cpu_count() or 1, keep=True)
    try:
        url = services.url()
    except BaseException:
        services.stop()
        raise
    click.echo(f"{'was up already' if services.reused else 'up'}: {url}  (docs: {url}/docs; end it with: seatrial serve down)")


@command.command()
@output_option
def status(output: str) -> None:
    """Whether the service is up and which version answers."""
    from jobs.control.home import Home
    from jobs.control.services import get_json, read_service

    record = read_service(Home.find())
    if record is None:
        print_json({"up": False}) if output == "json" else click.echo("no service is up here; start one with: seatrial serve up MODEL")
        return
    code, model = get_json(f"{record['url']}/v2/models/{record['model']}")
    answer = {"up": True, "url": record["url"], "model": record["model"], "ready": code == 200, "versions": (model or {}).get("versions", [])}
    print_json(answer) if output == "json" else print_fields(answer)


@command.command()
def down() -> None:
    """Stop the service and its Ray."""
    from jobs.control.home import Home
    from jobs.control.services import stop_service

    click.echo("stopped" if stop_service(Home.find()) else "no service was up here")
