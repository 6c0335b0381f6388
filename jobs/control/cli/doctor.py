"""``seatrial doctor``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobs.contracts.errors import EXIT_DONE, EXIT_FAILED
from jobs.control.cli.output import output_option, print_json

if TYPE_CHECKING:
    from jobs.control.doctor import Diagnosis
    from jobs.control.machine import Check

_COLOURS = {"ok": "green", "info": "blue", "warn": "yellow", "fail": "red"}


@click.command("doctor", epilog="Example: seatrial doctor local://flights-20261122-235557-5e8d/train")
@click.argument("name", metavar="[HANDLE|RUN]", required=False)
@output_option
def command(name: str | None, output: str) -> int:
    """Explain in plain words why a job or a run is not running; without one, look at this machine.

    The exit code is 1 when something is found that needs to be mended.
    """
    from jobs.control import doctor
    from jobs.control.home import Home

    home = Home.find()
    if name is None:
        checks = doctor.check_machine(home)
        print_json([_check_result(check) for check in checks]) if output == "json" else _print_checks(checks)
        return EXIT_FAILED if any(check.status == "fail" for check in checks) else EXIT_DONE
    found = doctor.examine(home, name)
    print_json([_diagnosis_result(each) for each in found]) if output == "json" else _print_diagnoses(found, name)
    return EXIT_DONE if all(each.well for each in found) else EXIT_FAILED


def _print_checks(checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        click.echo(f"{click.style(f'{check.status:<4}', fg=_COLOURS[check.status])}  {check.name:<{width}}  {check.text}")
        if check.hint:
            click.echo(f"{'':<{width + 8}}next: {check.hint}")


def _print_diagnoses(found: list[Diagnosis], name: str) -> None:
    if not found:
        click.echo(f"{name}: every step succeeded")
    for each in found:
        title = " ".join(filter(None, [each.step, each.handle]))
        click.echo(f"{click.style(each.state.value, fg='green' if each.well else 'red', bold=True)}  {title}")
        for cause in each.causes:
            click.echo(f"  {click.style(cause.name, bold=True)}: {cause.what}")
            click.echo(f"    next: {cause.hint}")
            if cause.evidence:
                click.echo(f"    said: {cause.evidence}")
        if not each.causes:
            click.echo(f"  {each.waiting}\n    next: {each.hint}")


def _check_result(check: Check) -> dict[str, Any]:
    """In the shape of check50's results; ``status`` tells a hint from a warning."""
    cause = None if check.status == "ok" else {"rationale": check.text, "help": check.hint}
    return {"name": check.name, "description": check.text, "passed": check.passed, "status": check.status, "cause": cause}


def _diagnosis_result(each: Diagnosis) -> dict[str, Any]:
    causes = [{"name": cause.name, "rationale": cause.what, "help": cause.hint, "evidence": cause.evidence} for cause in each.causes]
    passed = True if each.well and each.state.is_final else None if each.well else False
    answer = {"name": each.step or each.handle, "handle": each.handle, "state": each.state, "passed": passed, "causes": causes}
    return answer | ({} if causes else {"waiting": each.waiting, "help": each.hint})
