"""``seatrial data``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobs.control.cli.output import output_option, print_fields, print_json, print_table, short

if TYPE_CHECKING:
    from jobs.contracts.dataset import Column, Manifest


@click.group("data", epilog="Example: seatrial data show flights")
def command() -> None:
    """Datasets that runs have published."""


@command.command("list")
@output_option
def list_(output: str) -> None:
    """All published datasets, newest first."""
    from jobs.control.catalog import list_datasets
    from jobs.control.home import Home

    found = list_datasets(Home.find())
    if output == "json":
        print_json([_brief(uri, manifest) for uri, manifest in found])
        return
    rows = [(m.name, short(m.fingerprint), sum(m.split.rows.values()), len(m.features), m.split.method, m.recorded.get("made", "-")) for _, m in found]
    print_table(["name", "fingerprint", "rows", "features", "split", "made"], rows)


@command.command()
@click.argument("dataset")
@output_option
def show(dataset: str, output: str) -> None:
    """Columns, statistics and origin of one dataset: a name (the newest), a fingerprint's beginning, or a location."""
    from jobs.control.catalog import find_dataset
    from jobs.control.home import Home

    uri, manifest = find_dataset(Home.find(), dataset)
    if output == "json":
        print_json({"uri": uri, **manifest.model_dump(mode="json")})
        return
    print_fields(_brief(uri, manifest))
    print_table(["column", "type", "role", "nulls", "mean", "min", "max", "description"], [_column(column) for column in manifest.columns])
    print_table(["left out because", "rows"], manifest.rejected.items())


@command.command()
@click.argument("dataset")
@output_option
def verify(dataset: str, output: str) -> None:
    """Check every file of a dataset against the SHA-256 in its manifest."""
    from jobs.contracts.dataset import verify as verify_files
    from jobs.control.catalog import find_dataset
    from jobs.control.home import Home

    uri, manifest = find_dataset(Home.find(), dataset)
    verify_files(uri)
    if output == "json":
        print_json({"uri": uri, "files": len(manifest.files), "verified": True})
    else:
        click.echo(f"{len(manifest.files)} files match their SHA-256: {uri}")


def _brief(uri: str, manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "fingerprint": manifest.fingerprint,
        "uri": uri,
        "rows": manifest.split.rows,
        "split": manifest.split.method,
        "folds": manifest.split.folds,
        "bytes": sum(file.bytes for file in manifest.files),
        "made": manifest.recorded.get("made", "-"),
    }


def _column(column: Column) -> tuple[object, ...]:
    statistics = column.statistics
    if statistics is None:
        return column.name, column.type, column.role, "", "", "", "", column.description
    share = f"{statistics.nulls / statistics.count:.1%}" if statistics.count else "-"
    numbers = ["" if value is None else f"{value:.4g}" for value in (statistics.mean, statistics.min, statistics.max)]
    return column.name, column.type, column.role, share, *numbers, column.description
