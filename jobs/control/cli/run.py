"""``seatrial run``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jobs.control.cli.output import output_option, print_json

if TYPE_CHECKING:
    from jobs.control.home import Home
    from jobs.control.pipeline import Options


@click.command(
    "run",
    epilog="""\b
Examples:
  seatrial run examples/flights/pipeline.yaml
  seatrial run examples/flights/pipeline.yaml --set steps.train.params.seed=8
  seatrial run examples/flights/pipeline.yaml --keep      the service stays up; seatrial serve down ends it
  seatrial run examples/flights/pipeline.yaml --on ray    on a running Ray cluster
  seatrial run examples/flights/pipeline.yaml --on sagemaker   on practice, or with --real on your account
  seatrial run examples/flights/pipeline.yaml --detach    goes on when this terminal closes
  seatrial run --resume                                   the newest interrupted run goes on
""",
)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--on", "target", default=None, help="Target to run on.  [default: local]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of the job file; may be repeated.")
@click.option("--keep", is_flag=True, help="Leave the service up when the run ends.")
@click.option("--fresh", is_flag=True, help="Reuse and resume nothing.")
@click.option("--detach", is_flag=True, help="Leave the run to a driver of its own and return.")
@click.option("--real", is_flag=True, help="A cloud's real account is meant; without it only practice services on this machine are used.")
@click.option("--resume", is_flag=False, flag_value="newest", default="", metavar="[RUN]", help="Go on with an interrupted run: this one, or the newest.")
@output_option
def command(
    file: Path | None, target: str | None, overrides: tuple[str, ...], keep: bool, fresh: bool, detach: bool, real: bool, resume: str, output: str
) -> None:
    """Run a job file: features, training, evaluation, and a service that answers.

    What is unchanged is reused; an interrupted run goes on where it stopped.
    """
    from jobs.control.home import Home
    from jobs.control.pipeline import Options

    home = Home.find()
    options = Options(target=target or "local", overrides=overrides, fresh=fresh, keep=keep, real=real)
    if resume:
        file = _take_up(home, file, resume, options)
    if file is None:
        raise click.UsageError("FILE is missing; --resume alone goes on with the newest interrupted run")
    if detach:
        _detach(file, home, options, output)
    else:
        _drive(file, home, options, output)


def _take_up(home: Home, file: Path | None, run: str, options: Options) -> Path:
    """Fill the options from an interrupted run's record. ``--resume FILE`` means the newest run, of that file."""
    from jobs.control import runs

    if run.endswith((".yaml", ".yml")) and file is None:
        file, run = Path(run), "newest"
    record = runs.newest_unfinished(home, str(file.absolute()) if file else "") if run == "newest" else runs.find_run(home, run)
    options.resume, options.target, options.overrides = record.run, record.target, options.overrides or record.overrides
    return Path(record.file)


def _detach(file: Path, home: Home, options: Options, output: str) -> None:
    from jobs.control.detached import start

    run, handle = start(file, home, options)
    if output == "json":
        print_json({"run": run, "target": options.target, "driver": handle})
        return
    click.echo(f"{run} is driven by a job of its own: {handle}")
    click.echo(f"look at  seatrial logs {handle} --follow; seatrial status {handle}; seatrial stop {handle}")


def _drive(file: Path, home: Home, options: Options, output: str) -> None:
    from jobs.control import pipeline
    from jobs.control.backend import open_backend
    from jobs.control.cli.real import tell_place
    from jobs.control.progress import open_progress
    from jobs.control.spec_file import load
    from jobs.control.summary import print_summary

    job = load(file, options.overrides)
    tell_place(open_backend(options.target, home, job.targets), real=options.real)
    options.progress = open_progress(job.order(), quiet=output == "json")
    try:
        record = pipeline.run(file, home, options)
    finally:
        options.progress.close()
    if output == "json":
        print_json(record.model_dump(mode="json"))
    else:
        print_summary(record, home, kept=options.keep)
