"""``seatrial init``"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click


@click.command("init", epilog="Example: seatrial init churn --csv customers.csv --label left")
@click.argument("name")
@click.option("--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="Your table, with a header; without it a made-up one.")
@click.option("--label", default="", help="The column to predict; the last one unless given.")
@click.option("--task", type=click.Choice(["binary", "multiclass", "regression", "forecast"]), help="What the label is, where its values do not say it.")
@click.option("--key", default="", help="The column that identifies a row.")
@click.option("--time", default="", help="The column by which train, validation and test follow each other.")
def command(name: str, file: Path | None, label: str, task: str | None, key: str, time: str) -> None:
    """Make a new workload in the folder NAME: table, features, model, job file and test. It runs at once."""
    from jobs.control.scaffold import table, writing

    package = writing.package_of(name)
    with tempfile.TemporaryDirectory(prefix="seatrial-init-") as folder:
        if file is None:
            file = Path(folder) / f"{package}.csv"
            writing.sample(file)
        found = table.read(file)
        roles = table.roles(found, label=label, task=task, key=key, time=time)  # type: ignore[arg-type]
        for path in writing.write(Path(name), name, found, roles):
            click.echo(path)
    split = f"in order of {roles.time}" if roles.time else "at random"
    click.echo(f"\n{roles.task}: {roles.label} from {', '.join(roles.features)}; train, validation and test {split}")
    click.echo(f"next: seatrial run {name}/pipeline.yaml")
