"""``seatrial cluster down``: everything that ``up`` made goes; the data stays unless it is purged."""

from __future__ import annotations

from cluster.bringup import chart, operator, tools
from cluster.bringup.helm import Helm
from cluster.bringup.kubectl import Kubectl
from cluster.bringup.providers import Provider, open_provider
from cluster.bringup.runner import Runner, Say
from cluster.bringup.settings import NAME, Settings
from cluster.bringup.stages import Stage, perform

_OURS = "--selector=app.kubernetes.io/part-of=seatrial"
_JOBS = "--selector=app.kubernetes.io/managed-by=seatrial"  # what jobs made, as against Helm
# RayJobs and Jobs first: what they own goes with them.
_KINDS = ("rayjobs.ray.io", "jobs.batch", "pods", "services", "configmaps")


def down(settings: Settings, runner: Runner, *, purge: bool, quiet: bool = False) -> list[str]:
    """Repeating it is harmless. Returns what was left on purpose, each with the reason."""
    provider, left = open_provider(settings, runner), list[str]()
    tools.require(runner, provider.tools if provider.is_ours else ("kubectl", "helm"))
    # The namespaces, releases and volumes of a cluster of ours are all inside it.
    whole = [Stage("cluster", lambda _: _remove(provider, purge, left))]
    stages = whole if provider.is_ours else _stages(settings, provider, runner, purge, left)
    perform(stages, quiet=quiet)
    return left


def _remove(provider: Provider, purge: bool, left: list[str]) -> str:
    there = provider.exists()
    left += provider.remove(purge=purge)
    return f"removed {provider.context}" if there else "there was none"


def _stages(settings: Settings, provider: Provider, runner: Runner, purge: bool, left: list[str]) -> list[Stage]:
    kubectl = Kubectl(runner, provider.context, settings.namespace)

    def jobs(say: Say) -> str:
        for kind in _KINDS:
            say(kind)
            kubectl.delete(kind, _JOBS)
        return "none is left"

    def release(_: Say) -> str:
        return "uninstalled" if Helm(runner, provider.context, settings.namespace).remove(chart.RELEASE) else "was not installed"

    return [
        Stage("jobs", jobs),
        Stage("chart", release),
        Stage("operator", lambda _: _operator(kubectl, Helm(runner, provider.context, operator.NAMESPACE), left)),
        Stage("data", lambda _: _data(settings, kubectl, left) if purge else _kept(kubectl, left)),
    ]


def _operator(kubectl: Kubectl, helm: Helm, left: list[str]) -> str:
    """Only our own, and only when nobody else uses it."""
    ours = helm.release(operator.RELEASE)
    if ours is None or not ours.ours:
        return "was not ours"
    others = [body for kind in operator.CRDS for body in kubectl.list(kind, "--all-namespaces")]
    if others:
        first = others[0]["metadata"]
        left.append(f"the KubeRay operator: {len(others)} objects of others need it, such as {first['namespace']}/{first['name']}")
        return "kept"
    helm.remove(operator.RELEASE)
    # Helm never removes these; nothing of their kinds is left.
    kubectl.delete("customresourcedefinitions", *operator.CRDS)
    kubectl.delete("namespace", operator.NAMESPACE)
    return "uninstalled"


def _kept(kubectl: Kubectl, left: list[str]) -> str:
    claims = [body["metadata"]["name"] for body in kubectl.list("persistentvolumeclaims", _OURS)]
    left += [f"the claim {name} in {kubectl.namespace}: --purge removes it, with all data" for name in claims]
    return f"kept {', '.join(claims)}" if claims else "there is none"


def _data(settings: Settings, kubectl: Kubectl, left: list[str]) -> str:
    kubectl.delete("persistentvolumeclaims", _OURS)
    kubectl.delete("persistentvolumes", f"{settings.namespace}-{NAME}-data")
    body = kubectl.get("namespace", settings.namespace)
    if body and chart.MADE_BY in (body["metadata"].get("annotations") or {}):
        kubectl.delete("namespace", settings.namespace)
        return "removed, and the namespace"
    if body:
        left.append(f"the namespace {settings.namespace}: it was there before")
    return "removed"
