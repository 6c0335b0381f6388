"""``seatrial schema``"""

from __future__ import annotations

import click


@click.command("schema", epilog="Example: seatrial schema > job-file.schema.json")
@click.option("--output", type=click.Choice(["json", "markdown"]), default="json", show_default=True, help="markdown: every field in words.")
def command(output: str) -> None:
    """Print the JSON Schema of job files, with which an editor completes and checks them."""
    import json

    from jobs.control.schema import job_file_schema
    from jobs.control.schema_page import reference

    click.echo(json.dumps(job_file_schema(), indent=2, ensure_ascii=False) if output == "json" else reference())
