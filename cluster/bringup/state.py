"""``seatrial cluster status``: each part, whether it works, and what sticks. Only looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cluster.bringup import chart, operator
from cluster.bringup.helm import DEPLOYED, Helm
from cluster.bringup.kubectl import Kubectl, Object
from cluster.bringup.providers import Provider, open_provider
from cluster.bringup.runner import Runner
from cluster.bringup.settings import Settings
from cluster.bringup.sticking import causes
from cluster.bringup.waiting import World, deployment, ray_service_missing
from jobs.control.backend import Cause

OK, WAITING, ABSENT = "ok", "waiting", "absent"


@dataclass(frozen=True)
class Part:
    name: str
    state: str  # ok | waiting | absent
    text: str


@dataclass(frozen=True)
class Status:
    context: str
    namespace: str
    parts: tuple[Part, ...]
    causes: tuple[Cause, ...]

    @property
    def is_up(self) -> bool:
        return all(part.state == OK for part in self.parts)


def status(settings: Settings, runner: Runner) -> Status:
    provider = open_provider(settings, runner)
    if not provider.exists():
        return Status(provider.context, settings.namespace, (Part("cluster", ABSENT, f"there is no {provider.context}"),), ())
    kubectl = Kubectl(runner, provider.context, settings.namespace)
    if not kubectl.answers():
        said = "it does not answer; `seatrial cluster up` starts one that was stopped"
        return Status(provider.context, settings.namespace, (Part("cluster", WAITING, said),), ())
    parts = tuple(_parts(settings, provider, kubectl))
    stuck = () if all(part.state == OK for part in parts) else tuple(_causes(kubectl))
    return Status(provider.context, settings.namespace, parts, stuck)


def _parts(settings: Settings, provider: Provider, kubectl: Kubectl) -> Iterator[Part]:
    yield Part("cluster", OK, f"{provider.context} answers")
    yield _operator(kubectl)
    release = Helm(kubectl.runner, provider.context, settings.namespace).release(chart.RELEASE)
    if release is None:
        yield Part("chart", ABSENT, f"not installed in {settings.namespace}")
        return
    yield Part("chart", OK if release.status == DEPLOYED else WAITING, release.status)
    if (body := kubectl.get("deployments", chart.MLFLOW)) is not None:
        yield _part("mlflow", _missing_of(body), "answers")
    if (body := kubectl.get("rayservices.ray.io", chart.SERVICE)) is not None:
        yield _part("service", ray_service_missing(body), provider.serve_url or "answers behind seatrial-serve-svc:8000")
    for claim in kubectl.list("persistentvolumeclaims", "--selector=app.kubernetes.io/part-of=seatrial"):
        yield _claim(claim)


def _operator(kubectl: Kubectl) -> Part:
    body = operator.find(kubectl)
    if body is None:
        return Part("operator", ABSENT, "no KubeRay operator is to be seen")
    return _part("operator", _missing_of(body), f"KubeRay {operator.version(body)} in {body['metadata']['namespace']}")


def _missing_of(body: Object) -> str:
    world = World()
    world.take("deployments", "ADDED", body)
    return deployment(body["metadata"]["name"])(world)


def _part(name: str, missing: str, well: str) -> Part:
    return Part(name, WAITING if missing else OK, missing or well)


def _claim(body: Object) -> Part:
    phase = str((body.get("status") or {}).get("phase", "Pending"))
    size = (body.get("status") or {}).get("capacity", {}).get("storage", "")
    # A class that binds late leaves a claim pending until its first pod.
    return Part(f"claim {body['metadata']['name']}", OK if phase == "Bound" else WAITING, f"{phase.lower()} {size}".strip())


def _causes(kubectl: Kubectl) -> list[Cause]:
    return causes(kubectl.list("pods"), kubectl.list("events"), kubectl.list("rayservices.ray.io"))
