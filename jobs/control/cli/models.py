"""``seatrial models``"""

from __future__ import annotations

from dataclasses import asdict

import click

from jobs.control.cli.moving import promote, rollback
from jobs.control.cli.output import moment, output_option, print_fields, print_json, print_table, short


@click.group("models", epilog="Example: seatrial models lineage flights")
def command() -> None:
    """Registered models, where they come from, and which of them answers."""


command.add_command(promote)
command.add_command(rollback)


@command.command("list")
@output_option
def list_(output: str) -> None:
    """All versions of all models, newest first."""
    from jobs.control.home import Home
    from jobs.control.registry_reader import list_versions

    versions = list_versions(Home.find().tracking_uri)
    if output == "json":
        print_json([asdict(version) for version in versions])
        return
    rows = [(v.name, v.version, ", ".join(v.aliases), short(v.fingerprint), moment(v.created), v.tags.get("seatrial.run", "")) for v in versions]
    print_table(["name", "version", "alias", "bundle", "registered (UTC)", "run"], rows)


@command.command()
@click.argument("model")
@output_option
def show(model: str, output: str) -> None:
    """One version's inputs and metrics. MODEL is a name (its champion), NAME/VERSION or NAME@ALIAS."""
    from jobs.control import artefacts
    from jobs.control.catalog import find_model
    from jobs.control.home import Home

    version = find_model(Home.find(), model)
    bundle = artefacts.verify(version)
    if output == "json":
        print_json({**asdict(version), "bundle": bundle.model_dump(mode="json")})
        return
    print_fields(
        {
            "model": version.name,
            "version": version.version,
            "aliases": ", ".join(version.aliases),
            "bundle": version.fingerprint,
            "at": version.uri,
            "run": bundle.run,
        }
    )
    print_table(["metric (validation)", "value", "95 % interval"], [(k, f"{m.value:.4f}", f"{m.low:.4f} to {m.high:.4f}") for k, m in bundle.metrics.items()])
    print_table(["input", "kind", "unit", "description"], [(field.name, field.kind, field.unit, field.description) for field in bundle.inputs])


@command.command()
@click.argument("left")
@click.argument("right")
@output_option
def compare(left: str, right: str, output: str) -> None:
    """Two versions side by side: metrics on validation, and what was done differently. Names as for show, e.g. flights/1 flights/2."""
    from jobs.control.catalog import find_model
    from jobs.control.home import Home
    from jobs.control.versions_compared import compare as compared

    home = Home.find()
    found = compared(find_model(home, left), find_model(home, right))
    if output == "json":
        print_json(asdict(found))
        return
    print_table(["", "", found.left, found.right], [(one.kind, one.name, one.left or "-", one.right or "-") for one in found.differences])


@command.command()
@click.argument("model")
@output_option
def lineage(model: str, output: str) -> None:
    """The chain of fingerprints from the live answer back to the raw files."""
    from jobs.control.home import Home
    from jobs.control.lineage import trace

    links = trace(Home.find(), model)
    if output == "json":
        print_json([asdict(link) for link in links])
        return
    for depth, link in enumerate(links):
        mark = {True: click.style("verified", fg="green"), False: click.style("BROKEN", fg="red"), None: "-"}[link.verified]
        click.echo(f"{'  ' * depth}{'└ ' if depth else ''}{link.kind:<11} {link.name}  {short(link.fingerprint)}  {mark}")
        for detail in link.details:
            click.echo(f"{'  ' * depth}    {detail}")
