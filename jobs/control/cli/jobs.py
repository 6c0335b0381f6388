"""``seatrial jobs``"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from jobs.control.cli.output import output_option, print_json, print_table

if TYPE_CHECKING:
    from jobs.control.handles import JobRecord


@click.command("jobs", epilog="Example: seatrial jobs --refresh")
@click.option("--refresh", is_flag=True, help="Ask every target, each for at most 10 s; without it only this machine.")
@output_option
def command(refresh: bool, output: str) -> None:
    """Everything that was submitted from here, newest first."""
    from jobs.control.handles import Handles
    from jobs.control.home import Home

    home = Home.find()
    records, unreached = Handles(home).all(), {}
    if refresh or any(_is_cheap(record) for record in records):
        from jobs.control.watching import refresh as ask

        looks = ask(home, records, only=None if refresh else _is_cheap)
        records, unreached = [each.record for each in looks], {each.record.handle: each.why for each in looks if not each.reached}
    now = time.time()
    if output == "json":
        print_json([_as_dict(record, now, unreached.get(record.handle)) for record in records])
        return
    if not records:
        click.echo("nothing was submitted from here yet; seatrial submit FILE --on TARGET does it")
        return
    print_table(["run/step", "target", "kind", "state", "age", "handle"], [_row(record, now, unreached) for record in records])
    if not refresh and any(not (record.state.is_final or _is_cheap(record)) for record in records):
        click.echo("states of other machines are as last seen; --refresh asks them", err=True)
    for why in sorted(set(unreached.values())):
        click.echo(f"? = last known: {why}", err=True)


def _is_cheap(record: JobRecord) -> bool:
    """Whether to look costs nothing: an unfinished job of this machine."""
    return record.target == "local" and not record.state.is_final


def _row(record: JobRecord, now: float, unreached: dict[str, str]) -> tuple[object, ...]:
    state = f"{record.state}{'?' if record.handle in unreached else ''}"
    return record.name, record.target, record.kind, state, age(now - record.submitted), record.handle


def _as_dict(record: JobRecord, now: float, why: str | None) -> dict[str, Any]:
    return {
        "handle": record.handle,
        "target": record.target,
        "pipeline": record.pipeline,
        "run": record.run,
        "step": record.step,
        "kind": record.kind,
        "state": record.state,
        "submitted": record.submitted,
        "age": round(now - record.submitted, 1),
        "seen": record.updated,
        "unreached": why,
        "folder": record.folder,
        "outputs": dict(record.outputs),
    }


def age(seconds: float) -> str:
    """Seconds as people say them: ``42 s``, ``7 min``, ``3 h``, ``12 d``."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
