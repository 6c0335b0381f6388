"""``seatrial submit``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jobs.control.cli.output import output_option, print_fields, print_json

if TYPE_CHECKING:
    from jobs.control.submission import Submitted


@click.command(
    "submit",
    epilog="""\b
Examples:
  seatrial submit examples/flights/pipeline.yaml --step features --on local
  seatrial submit pipeline.yaml --step train --on kubernetes --input dataset=s3://bucket/datasets/flights/32e86327
  seatrial submit pipeline.yaml --step train --on ray --wait && echo trained
  seatrial submit pipeline.yaml --step train --on ray --run flights-20261122-235557-5e8d     go on after a failure
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--on", "target", default="local", show_default=True, help="Target to run on.")
@click.option("--step", default="", help="Which step; not needed where the file has only one.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=URI", help="Read an input from here instead; may be repeated.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of the job file; may be repeated.")
@click.option("--run", default="", metavar="RUN", help="Submit under this run id: again is harmless, and after a failure it goes on from its last checkpoint.")
@click.option("--wait", "waits", is_flag=True, help="Return when the job has ended: exit code 0 only if it succeeded.")
@click.option("--real", is_flag=True, help="A cloud's real account is meant; without it only practice services on this machine are used.")
@output_option
def command(file: Path, target: str, step: str, inputs: tuple[str, ...], overrides: tuple[str, ...], run: str, waits: bool, real: bool, output: str) -> int:
    """Submit one step and return once the target has taken it.

    Its inputs are those of the job file, what earlier runs from here have made, or what --input says.
    """
    from jobs.control.backend import open_backend
    from jobs.control.cli.following import follow_to_end
    from jobs.control.cli.real import tell_place
    from jobs.control.home import Home
    from jobs.control.spec_file import load
    from jobs.control.submission import Ask, submit

    home = Home.find()
    tell_place(open_backend(target, home, load(file, overrides).targets), real=real)
    submitted = submit(Ask(file, target, step, _pairs(inputs), overrides, run, real), home)
    if output == "text":
        _print(submitted)
    state, code = follow_to_end(home, submitted.handle) if waits else (None, 0)
    if output == "json":
        print_json(_as_dict(submitted) | ({"state": state} if state else {}))
    return code


def _pairs(inputs: tuple[str, ...]) -> dict[str, str]:
    for each in inputs:
        name, equals, uri = each.partition("=")
        if not (name and equals and uri):
            raise click.UsageError(f"--input {each!r} is not NAME=URI")
    return {name: uri for name, _, uri in (each.partition("=") for each in inputs)}


def _print(submitted: Submitted) -> None:
    plan = submitted.plan
    click.echo(f"{'submitted' if submitted.sent else 'this run has finished; nothing was sent:'} {plan.run}/{plan.step} on {plan.target}")
    fields: dict[str, object] = {"handle": submitted.handle, **{f"output {name}": uri for name, uri in plan.outputs.items()}}
    print_fields(fields)
    for loss in plan.losses:
        click.echo(f"not expressed on {plan.target}: {loss}", err=True)
    for note in submitted.notes:
        click.echo(f"note: {note}", err=True)
    click.echo("next")
    for verb, rest in (("status", ""), ("logs", " --follow"), ("stop", "")):
        click.echo(f"  seatrial {verb} {submitted.handle}{rest}")


def _as_dict(submitted: Submitted) -> dict[str, Any]:
    plan = submitted.plan
    return {
        "handle": submitted.handle,
        "target": plan.target,
        "run": plan.run,
        "step": plan.step,
        "kind": submitted.kind,
        "sent": submitted.sent,
        "outputs": dict(plan.outputs),
        "uploads": [{"source": upload.source, "target": upload.target, "bytes": upload.bytes} for upload in plan.uploads],
        "losses": list(plan.losses),
        "notes": list(submitted.notes),
    }
