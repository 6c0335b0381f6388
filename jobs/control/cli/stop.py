"""``seatrial stop``"""

from __future__ import annotations

import click


@click.command("stop", epilog="Example: seatrial stop local://flights-20261122-235557-5e8d/train")
@click.argument("job", metavar="HANDLE|RUN")
def command(job: str) -> None:
    """Stop a job, or a run with its driver and all its unfinished steps. Harmless when it has ended; an endpoint of a cloud is deleted."""
    from jobs.control import watching, watching_runs
    from jobs.control.home import Home

    home = Home.find()
    if "://" in job:
        click.echo(f"{watching.stop(home, job):<10} {job}")
        return
    record = watching_runs.stop(home, job)
    for name, step in record.steps.items():
        click.echo(f"{step.state:<10} {step.handle or name}")
    click.echo(f"{record.state:<10} {job}")
