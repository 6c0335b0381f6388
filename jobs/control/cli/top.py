"""``seatrial serve top``"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from jobs.control.cli.output import output_option, print_json

if TYPE_CHECKING:
    from jobs.control.rollout.top import Frame

_WORST = 6  # columns of the drift table


@click.command(epilog="Example: seatrial serve top --every 2")
@click.option("--every", type=click.FloatRange(0.2), default=1.0, show_default=True, metavar="SECONDS", help="Between two looks.")
@click.option("--model", default="", metavar="NAME", help="Of several.  [default: the first]")
@click.option("--once", is_flag=True, help="One frame, then end.")
@output_option
def top(every: float, model: str, once: bool, output: str) -> None:
    """Watch the service at work: requests, latency and scores by version, and drift. Ctrl-C ends it."""
    from rich.console import Console
    from rich.live import Live

    from jobs.contracts.errors import RequestError
    from jobs.control.home import Home
    from jobs.control.rollout.following import state
    from jobs.control.rollout.top import Top
    from jobs.control.services import check_models, read_service

    record = read_service(Home.find())
    if record is None:
        raise RequestError("no service is up here", hint="seatrial serve up MODEL")
    name = model or record["models"][0]
    check_models(record, [name])
    watching = Top(lambda: state(record, name))
    watching.frame()  # only the second look has a first one to be compared with
    time.sleep(every)
    if once or output == "json":
        found = watching.frame()
        print_json(asdict(found)) if output == "json" else Console().print(_table(name, record, found))
        return
    with Live(_table(name, record, watching.frame()), auto_refresh=False, screen=False) as live:
        while True:
            time.sleep(every)
            live.update(_table(name, record, watching.frame()), refresh=True)


def _table(name: str, record: dict[str, Any], frame: Frame) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    versions = Table(
        "version", "role", *(_right(name) for name in ("requests/s", "failed/s", "p50 ms", "p99 ms", "mean score")), box=SIMPLE_HEAD, pad_edge=False
    )
    for line in frame.lines:
        numbers = (f"{line.requests:,.1f}", f"{line.failed:,.1f}", _number(line.p50, 2), _number(line.p99, 2), _number(line.mean_score, 3))
        versions.add_row(line.version, line.role, *numbers)
    replicas = f"{frame.replicas} replica{'s' * (frame.replicas != 1)}"
    parts: list[Any] = [Text(f"{name} at {record['url']}  {replicas}  {time.strftime('%H:%M:%S')}"), versions]
    if frame.drift:
        parts.append(_drift(frame.drift))
    if frame.problem:
        parts.append(Text(frame.problem, style="red"))
    if frame.unseen:
        parts.append(Text(f"{frame.unseen:,} answers were not counted: looking at them fell behind"))
    return Group(*parts)


def _drift(drift: list[dict[str, Any]]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("drift, last hour", *(_right(name) for name in ("rows", "PSI", "KS")), "", box=SIMPLE_HEAD, pad_edge=False)
    for each in sorted(drift, key=lambda each: (not each["drifted"], -(each["psi"] or 0)))[:_WORST]:
        mark = "[red]drifted[/red]" if each["drifted"] else ""
        table.add_row(each["column"], f"{each['rows']:,}", _number(each["psi"], 3), _number(each["ks"], 3), mark)
    return table


def _right(name: str) -> Any:
    from rich.table import Column

    return Column(name, justify="right")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
