"""The KubeRay operator: a release of its own, because it serves the whole cluster and outlives Seatrial's."""

from __future__ import annotations

import re

from cluster.bringup.helm import Helm, Source
from cluster.bringup.kubectl import Kubectl, Object
from cluster.bringup.runner import Say
from cluster.bringup.settings import OPERATOR_VERSION, Settings
from cluster.bringup.waiting import deployment, wait
from jobs.contracts.errors import RunError, SetupError

RELEASE = NAME = "kuberay-operator"
NAMESPACE = "kuberay-system"
REPOSITORY = "https://ray-project.github.io/kuberay-helm/"
OLDEST = (1, 6)  # token authentication of clusters, and what jobs ask of RayJobs
CRDS = ("rayclusters.ray.io", "rayjobs.ray.io", "rayservices.ray.io", "raycronjobs.ray.io")
_SELECTOR = f"--selector=app.kubernetes.io/name in ({NAME},kuberay)"  # as its chart and its kustomization name it


def source(settings: Settings) -> Source:
    return Source(settings.operator_chart) if settings.operator_chart else Source(NAME, REPOSITORY, OPERATOR_VERSION)


def find(kubectl: Kubectl) -> Object | None:
    """The operator's Deployment, whoever installed it; None also where one may not look everywhere."""
    return next(iter(_everywhere(kubectl) or []), None)


def _everywhere(kubectl: Kubectl) -> list[Object] | None:
    """None = one may not look everywhere."""
    try:
        return kubectl.list("deployments", "--all-namespaces", _SELECTOR)
    except RunError:
        return None


def version(body: Object) -> str:
    """Of its image's tag; empty when that says nothing."""
    image = str(body["spec"]["template"]["spec"]["containers"][0].get("image", ""))
    tagged = re.search(r":v?(\d+\.\d+[.\d]*)", image.rsplit("/", 1)[-1])
    return tagged[1] if tagged else ""


def bring(settings: Settings, kubectl: Kubectl, helm: Helm, say: Say, *, may_mend: bool) -> str:
    """Use what is there, or install it, and wait until it works.

    Errors: SetupError when one is there that is too old.
    """
    seen = _everywhere(kubectl)
    # Its kinds alone prove nothing where one may look: Helm leaves them behind when an operator is uninstalled.
    if seen is None and _serves_ray(kubectl):
        return "the cluster serves ray.io/v1; whose operator that is may not be looked up"
    ours = helm.release(RELEASE)
    if seen and (ours is None or not ours.ours):
        return _of_others(seen[0])
    if kubectl.get("namespace", NAMESPACE) is None:
        kubectl.ask("create", "namespace", NAMESPACE)
    say("installing" if ours is None else "looking for changes")
    changed = helm.bring(RELEASE, source(settings), may_mend=may_mend)
    kubectl.ask("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in CRDS[:3]))
    wait(kubectl.within(NAMESPACE), {"deployments": deployment(NAME)}, settings.limit, say)
    return f"{'installed' if changed else 'found'} {OPERATOR_VERSION if not settings.operator_chart else settings.operator_chart}"


def _of_others(there: Object) -> str:
    number = version(there)
    if number and tuple(int(part) for part in number.split(".")[:2]) < OLDEST:
        where = f"{there['metadata']['namespace']}/{there['metadata']['name']}"
        hint = f"have it upgraded to {OPERATOR_VERSION} with its CRDs, which Helm does not upgrade: kubectl apply --server-side -k …/ray-operator/config/crd"
        raise SetupError(f"the KubeRay operator {number} is installed; Seatrial needs {OLDEST[0]}.{OLDEST[1]} or newer", where=where, hint=hint)
    return f"found {number or 'one'} in {there['metadata']['namespace']}"


def _serves_ray(kubectl: Kubectl) -> bool:
    done = kubectl.attempt("api-resources", "--api-group=ray.io", "--output=name")
    return done.ok and "rayservices.ray.io" in done.out
