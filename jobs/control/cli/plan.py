"""``seatrial plan``"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("plan", epilog="Example: seatrial plan examples/flights/pipeline.yaml")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--on", "target", default="local", show_default=True, help="Target to plan for.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a value of the job file; may be repeated.")
@click.option("--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def command(file: Path, target: str, overrides: tuple[str, ...], output: str) -> None:
    """Show what a run would send to a target, step by step. Needs no network and changes nothing."""
    import json

    import yaml

    from jobs.control.home import Home
    from jobs.control.planning import preview

    plans = [plan.as_dict() for plan in preview(file, Home.find(), target, overrides)]
    click.echo(json.dumps(plans, indent=2) if output == "json" else yaml.safe_dump_all(plans, sort_keys=False, width=140), nl=output == "json")
