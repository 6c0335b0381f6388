"""``seatrial run``"""

from __future__ import annotations

from pathlib import Path

import click

from jobs.control.cli.output import output_option, print_json


@click.command(
    "run",
    epilog="""\b
Examples:
  seatrial run examples/flights/pipeline.yaml
  seatrial run examples/flights/pipeline.yaml --set steps.train.params.seed=8
  seatrial run examples/flights/pipeline.yaml --keep     the service stays up; seatrial serve down ends it
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--on", "target", default="local", show_default=True, help="Target to run on.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of the job file; may be repeated.")
@click.option("--keep", is_flag=True, help="Leave the service up when the run ends.")
@click.option("--fresh", is_flag=True, help="Reuse and resume nothing.")
@output_option
def command(file: Path, target: str, overrides: tuple[str, ...], keep: bool, fresh: bool, output: str) -> None:
    """Run a job file: features, training, evaluation, and a service that answers.

    What is unchanged is reused; an interrupted run goes on where it stopped.
    """
    from jobs.control import pipeline
    from jobs.control.backend import open_backend
    from jobs.control.home import Home
    from jobs.control.progress import open_progress
    from jobs.control.spec_file import load
    from jobs.control.summary import print_summary

    home = Home.find()
    open_backend(target, home)
    progress = open_progress(load(file, overrides).order(), quiet=output == "json")
    try:
        record = pipeline.run(file, home, pipeline.Options(overrides=overrides, fresh=fresh, keep=keep, progress=progress))
    finally:
        progress.close()
    if output == "json":
        print_json(record.model_dump(mode="json"))
    else:
        print_summary(record, home, kept=keep)
