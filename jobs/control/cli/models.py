"""``seatrial models``"""

from __future__ import annotations

from dataclasses import asdict

import click

from jobs.control.cli.output import moment, output_option, print_fields, print_json, print_table, short


@click.group("models", epilog="Example: seatrial models lineage flights")
def command() -> None:
    """Registered models and where they come from."""


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
