"""``seatrial status``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobs.contracts.errors import EXIT_DONE, EXIT_FAILED
from jobs.contracts.states import JobState
from jobs.control.cli.output import moment, output_option, print_fields, print_json, print_table

if TYPE_CHECKING:
    from jobs.control.home import Home


@click.command("status", epilog="Example: seatrial status local://flights-20261122-235557-5e8d/train")
@click.argument("job", metavar="HANDLE|RUN")
@click.option("--wait", "waits", is_flag=True, help="Return when it has ended: exit code 0 only if it succeeded, 1 otherwise.")
@click.option("--timeout", type=click.FloatRange(min=0), default=None, metavar="SECONDS", help="With --wait: give up after this long; the job goes on.")
@output_option
def command(job: str, waits: bool, timeout: float | None, output: str) -> int:
    """Ask a job's target how it is, from any process. A run is asked step by step."""
    from jobs.control.home import Home

    if timeout is not None and not waits:
        raise click.UsageError("--timeout goes with --wait")
    home = Home.find()
    return _job(home, job, waits, timeout, output) if "://" in job else _run(home, job, waits, timeout, output)


def _job(home: Home, handle: str, waits: bool, timeout: float | None, output: str) -> int:
    from jobs.control.cli.following import follow_to_end
    from jobs.control.watching import look

    state, code = follow_to_end(home, handle, timeout) if waits else (look(home, handle), EXIT_DONE)
    answer = _describe(home, handle, state)
    if output == "json":
        print_json(answer)
        return code
    print_fields({name: value for name, value in answer.items() if value not in ("", {}) and name != "outputs"})
    for name, uri in answer.get("outputs", {}).items() if state == JobState.SUCCEEDED else ():
        click.echo(f"output {name}  {uri}")
    if state in (JobState.FAILED, JobState.UNKNOWN):
        click.echo(f"next: seatrial doctor {handle}", err=True)
    return code


def _describe(home: Home, handle: str, state: JobState) -> dict[str, Any]:
    """What is known here of a job; of one that was submitted elsewhere only its state."""
    from jobs.control.handles import Handles

    answer: dict[str, Any] = {"handle": handle, "state": state}
    if record := Handles(home).find(handle):
        answer |= {"target": record.target, "run": record.run, "step": record.step, "kind": record.kind}
        answer |= {"submitted": f"{moment(record.submitted)} UTC", "folder": record.folder, "outputs": dict(record.outputs)}
    return answer


def _run(home: Home, run: str, waits: bool, timeout: float | None, output: str) -> int:
    from jobs.control import watching_runs
    from jobs.control.runs import is_driven

    record = watching_runs.wait(home, run, timeout) if waits else watching_runs.look(home, run)
    driven = is_driven(home, run)
    if output == "json":
        print_json({**record.model_dump(mode="json"), "driven": driven})
    else:
        print_fields({"run": record.run, "state": record.state, "target": record.target, "file": record.file})
        rows = [(name, step.state, step.reused or step.handle or "-", step.message) for name, step in record.steps.items()]
        print_table(["step", "state", "handle, or run it is taken from", ""], rows)
        if not record.state.is_final and not driven and not watching_runs.is_alone(home, run):
            click.echo(f"nobody drives this run; go on with: seatrial run --resume {run}", err=True)
    return EXIT_FAILED if waits and record.state != JobState.SUCCEEDED else EXIT_DONE
