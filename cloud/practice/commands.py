"""The command group ``seatrial practice``."""

from __future__ import annotations

from typing import Any

import click

from cloud.practice.inject import KINDS
from cloud.practice.settings import AWS_PORT, AZURE_PORT, PAGE_PORT
from jobs.contracts.errors import EXIT_DONE, EXIT_FAILED
from jobs.control.cli.output import output_option, print_fields, print_json, print_table


@click.group("practice", epilog='Example: seatrial practice up && eval "$(seatrial practice env)"')
def command() -> None:
    """Amazon SageMaker and Azure ML on this machine: the same requests, really executed."""


@command.command()
@click.option("--page-port", default=PAGE_PORT, show_default=True, help="The web page.")
@click.option("--aws-port", default=AWS_PORT, show_default=True)
@click.option("--azure-port", default=AZURE_PORT, show_default=True)
@click.option("--cpus", default=0.0, help="Cores that each host of a job may use; default: all.")
@click.option("--memory", default=0, metavar="MIB", help="Memory that each host of a job may use; default: no limit.")
@output_option
def up(page_port: int, aws_port: int, azure_port: int, cpus: float, memory: int, output: str) -> None:
    """Start both services in the background; jobs, models and objects of earlier days are there again."""
    from cloud.practice import daemon
    from jobs.control.home import Home

    home = Home.find()
    record = daemon.find(home)
    was_up = record is not None
    record = record or daemon.start(home, (page_port, aws_port, azure_port), cpus, memory)
    if output == "json":
        print_json(_shown(record))
        return
    click.echo("was up already" if was_up else "up")
    print_fields(_shown(record))
    click.echo('\nnext: eval "$(seatrial practice env)"')


@command.command()
@click.option("--unset", "away", is_flag=True, help="Print what leads back to the real clouds.")
@output_option
def env(away: bool, output: str) -> None:
    """Print the variables that lead boto3 and azure-ai-ml programs here, for `eval`."""
    from cloud.practice import daemon, environment
    from jobs.control.home import Home

    if away:
        click.echo(environment.unset())
        return
    home = Home.find()
    chosen = environment.variables(daemon.require(home), daemon.folder(home))
    print_json(chosen) if output == "json" else click.echo(environment.shell(chosen))


@command.command()
@output_option
def status(output: str) -> int:
    """What is up, what runs, and which drills are armed. The exit code is 1 when nothing is up."""
    from cloud.practice import daemon
    from jobs.control.home import Home

    record = daemon.find(Home.find())
    if record is None:
        print_json({"up": False}) if output == "json" else click.echo("no practice service is up here; start it with: seatrial practice up")
        return EXIT_FAILED
    state = daemon.ask(record, "/api/state")
    if output == "json":
        print_json({"up": True, **_shown(record), **state})
        return EXIT_DONE
    print_fields(_shown(record))
    print_table(("cloud", "kind", "name", "status"), [(each["cloud"], each["kind"], each["name"], each["status"]) for each in state["records"][:20]])
    for each in state["injections"]:
        click.echo(f"armed: {each['kind']} for {each['match']} ({each['times']} times)")
    return EXIT_DONE


@command.command()
def down() -> None:
    """Stop both services and everything that runs in them; what they keep stays."""
    from cloud.practice import daemon
    from jobs.control.home import Home

    click.echo("stopped" if daemon.stop(Home.find()) else "no practice service was up here")


@command.command(epilog="Drills:\n\n" + "\n\n".join(f"{name}: {text}" for name, text in KINDS.items()))
@click.argument("kind", type=click.Choice([*KINDS, "none"]))
@click.option("--cloud", type=click.Choice(["aws", "azure"]), default=None, help="Only there; default: both.")
@click.option("--match", default="*", show_default=True, metavar="PATTERN", help="Of the job's name.")
@click.option("--seconds", default=5.0, show_default=True, help="After the start (spot-interruption, host-failure), or how slow (slow-start).")
@click.option("--times", default=1, show_default=True, help="For so many jobs or requests.")
def inject(kind: str, cloud: str | None, match: str, seconds: float, times: int) -> None:
    """Let something go wrong with the next matching job; `none` disarms all drills."""
    from cloud.practice import daemon
    from jobs.control.home import Home

    wanted = {"kind": kind, "cloud": cloud or "", "match": match, "seconds": seconds, "times": times}
    answer = daemon.ask(daemon.require(Home.find()), "/api/inject", wanted)
    click.echo(answer["text"])


@command.group()
def image() -> None:
    """Environments that stand for container images."""


@image.command("add")
@click.argument("name")
@click.option("--python", required=True, metavar="PATH", help="Of an environment, such as .venv/bin/python.")
@click.option("--bin", "folder", default="", metavar="DIR", help="With the programs `train`, `serve` or `process`; before the environment's own.")
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="As ENV in a Dockerfile.")
def add(name: str, python: str, folder: str, variables: tuple[str, ...]) -> None:
    """Register NAME (repository:tag) as an image; jobs may name it by any registry's address."""
    made = _images().add(name, python, folder, dict(each.partition("=")[::2] for each in variables))
    click.echo(f"{made.name} is {made.python}")


@image.command("list")
@output_option
def list_(output: str) -> None:
    """List the images that jobs may name."""
    from dataclasses import asdict

    every = _images().all()
    if output == "json":
        print_json([asdict(each) for each in every])
    else:
        print_table(("name", "python", "programs"), [(each.name, each.python, each.bin or "-") for each in every])


@image.command("remove")
@click.argument("name")
def remove(name: str) -> int:
    """Forget an image that was added."""
    found = _images().remove(name)
    click.echo("removed" if found else f"no image {name} was added here")
    return EXIT_DONE if found else EXIT_FAILED


def _images() -> Any:
    from cloud.practice import daemon
    from cloud.practice.images import Images
    from jobs.control.home import Home

    home = Home.find()
    home.create()
    return Images(daemon.folder(home))


def _shown(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in ("page", "aws", "azure", "isolation", "pid")}
