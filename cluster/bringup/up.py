"""``seatrial cluster up``: from whatever is there to a cluster that runs jobs and answers."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.bringup import chart, gpu, images, operator, tools
from cluster.bringup.helm import Helm
from cluster.bringup.kubectl import Kubectl
from cluster.bringup.providers import Provider, open_provider
from cluster.bringup.runner import Runner, Say
from cluster.bringup.settings import SERVE_PORT, Settings
from cluster.bringup.stages import Stage, perform
from jobs.control.spec import KubernetesTarget


@dataclass(frozen=True)
class Ready:
    """``next`` holds commands, in the order in which a newcomer wants them."""

    context: str
    namespace: str
    urls: dict[str, str]
    next: tuple[str, ...]


def up(settings: Settings, runner: Runner, *, quiet: bool = False) -> Ready:
    """Errors: SetupError for missing tools; RunError that says what sticks and why. The same command goes on there."""
    provider = open_provider(settings, runner)
    perform(_stages(settings, provider, runner), quiet=quiet)
    return _ready(settings, provider)


def _stages(settings: Settings, provider: Provider, runner: Runner) -> list[Stage]:
    def kubectl() -> Kubectl:
        return Kubectl(runner, provider.context, settings.namespace)

    def helm(namespace: str) -> Helm:
        return Helm(runner, provider.context, namespace)

    stages = [Stage("tools", lambda _: _tools(settings, provider, runner))]
    if provider.is_ours:
        stages += [Stage("images", lambda say: images.build(runner, settings, say))]
    stages += [Stage("cluster", provider.create)]
    if provider.is_ours:
        stages += [Stage("load", lambda say: _load(settings, provider, runner, say))]
    if settings.gpu and provider.is_ours:
        stages += [Stage("gpu", lambda say: gpu.prepare(settings, kubectl(), helm(gpu.NAMESPACE), say))]
    return [
        *stages,
        Stage("operator", lambda say: operator.bring(settings, kubectl(), helm(operator.NAMESPACE), say, may_mend=provider.is_ours)),
        Stage("chart", lambda say: chart.bring(settings, provider, kubectl(), helm(settings.namespace), say)),
        Stage("ready", lambda say: chart.await_ready(settings, kubectl(), say)),
    ]


def _tools(settings: Settings, provider: Provider, runner: Runner) -> str:
    wanted = [*provider.tools, "kubectl", "helm", *(["make"] if provider.is_ours else [])]
    return ", ".join(f"{each.name} {each.version}" for each in tools.require(runner, wanted))


def _load(settings: Settings, provider: Provider, runner: Runner, say: Say) -> str:
    sent = []
    for image in images.wanted_on_nodes(runner, settings):
        say(f"{image}: minutes for the first time")
        sent += [image] if provider.load(image) else []
    return f"sent {', '.join(sent)}" if sent else "the nodes have them"


def _ready(settings: Settings, provider: Provider) -> Ready:
    forward = f"kubectl --context {provider.context} --namespace {settings.namespace} port-forward"
    urls = {
        "predictions": provider.serve_url or f"{forward} service/seatrial-serve-svc {SERVE_PORT}:{SERVE_PORT}",
        "mlflow": f"{forward} service/seatrial-mlflow 5000:5000",
    }
    answers = provider.serve_url or f"http://127.0.0.1:{SERVE_PORT}"
    where = "".join(f" --set targets.kubernetes.{key}={value}" for key, value in _differing(settings).items())
    return Ready(
        provider.context,
        settings.namespace,
        urls,
        (
            f"kubectl config use-context {provider.context}",
            f"seatrial run examples/flights/pipeline.yaml --on kubernetes --detach{where}",
            "seatrial status RUN --wait",
            f"curl -s {answers}/example | curl -s {answers}/predict -H 'content-type: application/json' -d @-",
        ),
    )


def _differing(settings: Settings) -> dict[str, str]:
    """What a job file must say because it is not its default."""
    usual = KubernetesTarget()
    found = {"namespace": (settings.namespace, usual.namespace)}
    found |= {f"images.{key}": (getattr(settings.images, key), getattr(usual.images, key)) for key in ("ray", "spark")}
    return {key: value for key, (value, default) in found.items() if value != default}
