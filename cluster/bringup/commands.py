"""The command group ``seatrial cluster``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cluster.bringup.providers import PROVIDERS
from cluster.bringup.settings import NAME, SERVE_PORT
from jobs.contracts.errors import EXIT_DONE, EXIT_FAILED
from jobs.control.cli.output import output_option, print_fields, print_json
from jobs.control.spec import Images, KubernetesTarget

if TYPE_CHECKING:
    from cluster.bringup.existing import Existing
    from cluster.bringup.settings import Settings

_COLOURS = {"ok": "green", "waiting": "yellow", "absent": "red"}
_WHERE = (
    click.option("--provider", type=click.Choice(list(PROVIDERS)), default="kind", show_default=True, help="existing: the kubeconfig's current context."),
    click.option("--name", default=NAME, show_default=True, help="Of a cluster made here."),
    click.option("--namespace", default=KubernetesTarget().namespace, show_default=True),
    click.option("--context", default="", help="With --provider existing: another context than the current one."),
)


def _where(function: Any) -> Any:
    for option in reversed(_WHERE):
        function = option(function)
    return function


@click.group("cluster", epilog="Example: seatrial cluster up --provider kind")
def command() -> None:
    """A Kubernetes cluster that runs jobs: on this machine, or one that exists."""


@command.command()
@_where
@click.option("--gpu", is_flag=True, help="Nodes offer this machine's NVIDIA GPUs; images with CUDA.")
@click.option("--profile", default="", help="Of the chart's values-<profile>.yaml; default: the provider's own.")
@click.option("--values", "-f", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Further values of the chart.")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="A single value of the chart.")
@click.option("--image-ray", default=Images().ray, show_default=True, help="Built here when absent, for kind and minikube.")
@click.option("--image-spark", default=Images().spark, show_default=True)
@click.option("--rebuild", is_flag=True, help="Build both images anew.")
@click.option("--operator-chart", default="", metavar="PATH", help="The KubeRay operator's chart, where its repository is out of reach.")
@click.option("--port", default=SERVE_PORT, show_default=True, help="Of predictions on this machine; kind only, when it is made.")
@click.option("--cpus", default=0, help="Of minikube's machine.")
@click.option("--memory", default="", help="Of minikube's machine, such as 12g.")
@click.option("--timeout", default=900.0, show_default=True, help="Seconds that one part may take to become ready.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@output_option
def up(provider: str, name: str, namespace: str, context: str, output: str, yes: bool, **options: Any) -> None:
    """Make a cluster, or go on where the last try stopped; what is there already is left as it is."""
    from cluster.bringup.runner import Runner
    from cluster.bringup.up import up as bring_up

    images = Images(ray=options.pop("image_ray"), spark=options.pop("image_spark"))
    settings = _settings(provider, name, namespace, context, images=images, limit=options.pop("timeout"), **options)
    settings = _asked(settings, yes, "Seatrial and, if there is none, the KubeRay operator will be installed there. Go on?")
    ready = bring_up(settings, Runner(), quiet=output == "json")
    if output == "json":
        print_json(asdict(ready))
        return
    click.echo(f"{ready.context} is ready, namespace {ready.namespace}")
    print_fields(ready.urls)
    click.echo("\nnext:")
    for line in ready.next:
        click.echo(f"  {line}")


@command.command()
@_where
@output_option
def status(provider: str, name: str, namespace: str, context: str, output: str) -> int:
    """Each part of the cluster, and what sticks. The exit code is 1 when it is not up."""
    from cluster.bringup.runner import Runner
    from cluster.bringup.state import status as look

    found = look(_settings(provider, name, namespace, context), Runner())
    if output == "json":
        print_json({"up": found.is_up, **asdict(found)})
        return EXIT_DONE if found.is_up else EXIT_FAILED
    width = max(len(part.name) for part in found.parts)
    for part in found.parts:
        click.echo(f"{part.name:<{width}}  {click.style(f'{part.state:<7}', fg=_COLOURS[part.state])}  {part.text}")
    for cause in found.causes:
        click.echo(f"\n{click.style(cause.name, fg='yellow')}: {cause.what}\n  next: {cause.hint}")
    return EXIT_DONE if found.is_up else EXIT_FAILED


@command.command()
@_where
@click.option("--purge", is_flag=True, help="Remove the data too.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def down(provider: str, name: str, namespace: str, context: str, purge: bool, yes: bool) -> None:
    """Remove what `up` made. The data stays, unless it is purged; minikube keeps none."""
    from cluster.bringup.down import down as take_down
    from cluster.bringup.runner import Runner

    settings = _settings(provider, name, namespace, context)
    data = "with all data" if purge or provider == "minikube" else "; its data stays"
    if provider == "existing":
        settings = _asked(settings, yes, f"Seatrial will be removed from there{'' if data.startswith(';') else ' '}{data}. Go on?")
    elif "with" in data and not yes:
        click.confirm(f"{name} will be removed {data}. Go on?", abort=True, err=True)
    left = take_down(settings, Runner(), purge=purge)
    click.echo("\n".join(["down; left:", *(f"  {each}" for each in left)]) if left else "down; nothing is left")


def _settings(provider: str, name: str, namespace: str, context: str, **more: Any) -> Settings:
    from cluster.bringup.settings import Settings, find_checkout
    from jobs.contracts.errors import RequestError
    from jobs.control.home import Home

    if context and provider != "existing":
        raise RequestError(f"--context is for --provider existing; {provider} has a context of its own")
    if "image_ray" in more or "images" in more:
        more["checkout"] = find_checkout(Path.cwd())
    return Settings(provider, Home.find(), name, namespace, context, **more)


def _asked(settings: Settings, yes: bool, question: str) -> Settings:
    """For a cluster that is not ours: name it and ask; the answer holds for that context, whatever becomes current meanwhile."""
    from dataclasses import replace

    if settings.provider != "existing":
        return settings
    from cluster.bringup.providers import open_provider
    from cluster.bringup.runner import Runner

    provider: Existing = open_provider(settings, Runner())  # type: ignore[assignment]
    click.echo(f"context {provider.context}, server {provider.server}, namespace {settings.namespace}", err=True)
    if not yes:
        click.confirm(question, abort=True, err=True)
    return replace(settings, context=provider.context)
