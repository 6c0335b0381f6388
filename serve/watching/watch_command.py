"""``seatrial watch``"""

from __future__ import annotations

from pathlib import Path

import click

from jobs.control.cli.output import output_option, print_json


@click.command(
    "watch",
    epilog="""\b
Examples:
  seatrial watch retrain.yaml          looks every few minutes until it is stopped
  seatrial watch retrain.yaml --once   one look, for cron
""",
)
@click.argument("policy", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--once", is_flag=True, help="Look once, train if there is a reason, and end.")
@output_option
def command(policy: Path, once: bool, output: str) -> None:
    """Train again when the file POLICY says so, and let the gate decide whether the new version answers."""
    from datetime import UTC, datetime

    from jobs.contracts.errors import EXIT_FAILED
    from jobs.control.home import Home
    from serve.watching.commands import log_folder
    from serve.watching.policy import load
    from serve.watching.watch import Watch, plain

    rules, home = load(policy), Home.find()

    def say(text: str) -> None:
        click.echo(f"{datetime.now(UTC):%H:%M:%S}  {text}", err=True)

    watch = Watch(rules, home, log_folder(home, rules.model), say)
    if not once:
        watch.forever()
    event = watch.once()
    if output == "json":
        print_json(plain(event))
    if event is not None and event.kind == "failed":
        raise click.exceptions.Exit(EXIT_FAILED)
