"""The command ``seatrial``. Each group is a module of its own, imported when it is used."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import sys
from typing import Any

import click

from jobs.contracts.errors import EXIT_INTERRUPTED, SeatrialError

# Command -> (module, one line for --help). Listing them needs no import of what is behind.
COMMANDS = {
    "init": ("jobs.control.cli.init", "Make a new workload, from a CSV of yours or a made-up one."),
    "run": ("jobs.control.cli.run", "Run a job file from raw data to answered predictions."),
    "plan": ("jobs.control.cli.plan", "Show exactly what a target would be sent; sends nothing."),
    "schema": ("jobs.control.cli.schema", "Print the JSON Schema of job files, for editors."),
    "submit": ("jobs.control.cli.submit", "Submit one step and return; it goes on without this terminal."),
    "status": ("jobs.control.cli.status", "Ask how a submitted job or a run is."),
    "logs": ("jobs.control.cli.logs", "Print or follow a job's log."),
    "stop": ("jobs.control.cli.stop", "Stop a job or a whole run."),
    "jobs": ("jobs.control.cli.jobs", "List everything that was submitted from here."),
    "data": ("jobs.control.cli.data", "List, show and verify datasets."),
    "models": ("jobs.control.cli.models", "List registered models, trace their lineage, choose which one answers."),
    "ui": ("jobs.control.cli.ui", "Look at runs, metrics and reports in MLflow's pages."),
    "serve": ("jobs.control.cli.serve", "Start, look at and stop the service that answers predictions."),
    "drift": ("serve.watching.commands", "Compare live traffic with the training data; add labels that arrive later."),
    "watch": ("serve.watching.watch_command", "Train again when a policy file says so: drift, age or quality."),
    "cluster": ("cluster.bringup.commands", "Make, look at and remove a Kubernetes cluster that runs jobs."),
    "practice": ("cloud.practice.commands", "Practise SageMaker and Azure ML offline, on this machine."),
    "doctor": ("jobs.control.cli.doctor", "Explain why something is not running, or what this machine lacks."),
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return getattr(importlib.import_module(COMMANDS[cmd_name][0]), "command")  # type: ignore[no-any-return]  # noqa: B009

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Example: seatrial run examples/flights/pipeline.yaml",
)
@click.version_option(package_name="seatrial", message="%(prog)s %(version)s")
def seatrial() -> None:
    """One job file from raw rows to served predictions, the same on every target."""


def main(argv: list[str] | None = None) -> Any:
    """Entry point of the console command: errors become one clear message and an exit code."""
    logging.basicConfig(level=os.environ.get("SEATRIAL_LOG", "WARNING"), format="%(name)s: %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a supervisor's stop is as clean as Ctrl-C
    try:
        return seatrial.main(args=argv, standalone_mode=False) or 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; run the same command again to go on", err=True)
        return EXIT_INTERRUPTED
    except SeatrialError as error:
        click.secho("error: ", fg="red", bold=True, nl=False, err=True)
        click.echo(str(error), err=True)
        return error.exit_code


def entry() -> None:
    sys.exit(main())
