"""``seatrial logs``"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobs.contracts.errors import EXIT_INTERRUPTED, SeatrialError

if TYPE_CHECKING:
    from jobs.control.home import Home


@click.command("logs", epilog="Example: seatrial logs local://flights-20261122-235557-5e8d/train --follow")
@click.argument("handle")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended.")
def command(handle: str, follow: bool) -> None:
    """Print a job's log, oldest line first. What was kept of it here outlives the target."""
    from jobs.control.backend import backend_of
    from jobs.control.home import Home

    home = Home.find()
    try:
        for line in backend_of(handle, home).logs(handle, follow=follow):
            click.echo(line, nl=not line.endswith("\n"))
    except KeyboardInterrupt:
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None  # the job goes on; there is nothing to say
    except SeatrialError as error:
        if not _print_kept(home, handle):
            raise
        click.echo(f"the target did not answer, so this is what was kept here: {error}", err=True)


def _print_kept(home: Home, handle: str) -> bool:
    from jobs.control.handles import Handles

    record = Handles(home).find(handle)
    path = home.runs / record.run / record.step / "log.txt" if record else None
    if path is None or not path.is_file():
        return False
    click.echo(path.read_text(errors="replace"), nl=False)
    return True
