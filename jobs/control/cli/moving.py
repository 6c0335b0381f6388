"""``seatrial models promote`` and ``rollback``: which version answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobs.control.cli.output import output_option, print_json

if TYPE_CHECKING:
    from jobs.control.home import Home
    from jobs.control.rollout.record import Rollout


@click.command(
    epilog="""\b
Examples:
  seatrial models promote flights 3 --shadow      scores a copy of the traffic; nobody gets its answers
  seatrial models promote flights 3 --canary 10   answers 10 % of the requests
  seatrial models promote flights 3 --full        answers all of them (as without an option)
""",
)
@click.argument("name")
@click.argument("version")
@click.option("--shadow", "mode", flag_value="shadow", type=str, help="Let it score a copy of the traffic.")
@click.option("--canary", "percent", type=click.FloatRange(0, 100, min_open=True), metavar="PERCENT", help="Let it answer this share of the requests.")
@click.option("--full", "mode", flag_value="full", type=str, help="Make it the champion.")
@click.option("--max-errors", type=click.FloatRange(0, 100), metavar="PERCENT", help="Limit: failed requests beyond the champion's share.  [default: 2]")
@click.option("--max-latency", type=click.FloatRange(1), metavar="TIMES", help="Limit: its p99 in times the champion's.  [default: 2]")
@click.option(
    "--max-shift", type=click.FloatRange(0, min_open=True), metavar="PSI", help="Limit: stability index of its scores.  [default: 0.25; --full: none]"
)
@click.option("--min-requests", type=click.IntRange(1), help="Judge nothing on fewer.  [default: 200]")
@click.option("--watch", type=click.FloatRange(0), metavar="SECONDS", help="How long a version in full is watched.  [default: 600]")
@click.option("--reason", default="", help="For the history.")
@output_option
def promote(name: str, version: str, mode: str | None, percent: float | None, reason: str, output: str, **limits: Any) -> None:
    """Put VERSION of NAME on trial, or make it the champion.

    Running services follow within a second. It is taken back by itself when it breaks a limit.
    """
    from jobs.control.home import Home
    from jobs.control.rollout import moves
    from jobs.control.rollout.record import Mode

    if mode and percent is not None:
        raise click.UsageError("choose one of --shadow, --canary and --full")
    chosen = Mode.CANARY if percent is not None else Mode(mode or "full")
    home = Home.find()
    step = moves.promote(home.tracking_uri, name, version, chosen, percent=percent or 0, limits=_limits(chosen, limits), reason=reason)
    _tell(home, name, step, output)


@click.command(epilog="Example: seatrial models rollback flights --reason 'complaints'")
@click.argument("name")
@click.option("--reason", default="", help="For the history.")
@output_option
def rollback(name: str, reason: str, output: str) -> None:
    """End the trial of NAME; without one, let its former champion answer again."""
    from jobs.control.home import Home
    from jobs.control.rollout import moves

    home = Home.find()
    _tell(home, name, moves.rollback(home.tracking_uri, name, reason=reason), output)


def _limits(mode: str, given: dict[str, Any]) -> Any:
    from jobs.control.rollout.record import Limits

    names = {"max_latency": "latency", "max_shift": "scores", "min_requests": "requests", "watch": "watch"}
    found = {names[key]: value for key, value in given.items() if key in names and value is not None}
    if given["max_errors"] is not None:
        found["errors"] = given["max_errors"] / 100
    return Limits(**({"scores": None} if mode == "full" else {}) | found)


def _tell(home: Home, name: str, step: Rollout, output: str) -> None:
    from jobs.control.rollout.following import wait_until_followed
    from jobs.control.rollout.words import sentence

    followed = wait_until_followed(home, name, step.revision)
    if output == "json":
        print_json(step.model_dump(mode="json") | {"followed": followed})
        return
    click.echo(f"{name}: {sentence(step)}")
    told = {True: "the service follows", False: "the service does not follow yet: seatrial serve status", None: "no service of this model is up here"}
    click.echo(told[followed])
