"""The chart ``helm/seatrial``: its namespace, its values, its release, and when it works."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cluster.bringup import images
from cluster.bringup.helm import Helm, Source
from cluster.bringup.kubectl import Kubectl, Object
from cluster.bringup.providers import Provider
from cluster.bringup.runner import Say
from cluster.bringup.settings import NAME, Settings
from cluster.bringup.waiting import Condition, deployment, ray_service, wait
from jobs.contracts.errors import RequestError, from_os_error

RELEASE = NAME
MLFLOW, SERVICE = f"{NAME}-mlflow", NAME
MADE_BY = "seatrial.dev/made-by"  # annotation of a namespace that may be removed again
_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def profiles(chart: Path) -> list[str]:
    return sorted(path.stem.removeprefix("values-") for path in chart.glob("values-*.yaml"))


def source(settings: Settings, provider: Provider, versions: Mapping[str, Any]) -> Source:
    """Values in this order, later ones win: the profile, what the provider and the images say, the user's files, the user's pairs.

    Errors: RequestError for a profile that the chart has not.
    """
    profile = settings.profile or provider.profile
    if profile and profile not in profiles(settings.chart):
        raise RequestError(f"the chart has no profile {profile!r}", where=str(settings.chart), hint=f"it has: {', '.join(profiles(settings.chart))}")
    own = [settings.chart / f"values-{profile}.yaml"] if profile else []
    return Source(str(settings.chart), values=(*own, _written(settings, _values(settings, provider, versions)), *settings.values), sets=settings.sets)


def _written(settings: Settings, values: Mapping[str, Any]) -> Path:
    file = settings.folder / "values.yaml"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(dict(values), sort_keys=True))
    except OSError as error:
        raise from_os_error(error, str(file)) from error
    return file


def _held(settings: Settings, kubectl: Kubectl) -> dict[str, dict[str, str]]:
    """What the images on this machine hold; where Docker does not know, the chart's own figures stand."""
    asked = {"ray": settings.images.ray, "spark": settings.images.spark}
    return {key: found for key, image in asked.items() if (found := images.versions(kubectl.runner, image))}


def _values(settings: Settings, provider: Provider, versions: Mapping[str, Any]) -> dict[str, Any]:
    wanted = settings.images
    found: dict[str, Any] = {"images": {"ray": wanted.ray, "spark": wanted.spark, "pullPolicy": wanted.pull_policy}, **provider.values()}
    if versions:
        found["versions"] = dict(versions)
    if wanted.pull_secrets:
        found["images"]["pullSecrets"] = list(wanted.pull_secrets)
    return found


def bring(settings: Settings, provider: Provider, kubectl: Kubectl, helm: Helm, say: Say) -> str:
    held = _held(settings, kubectl) if provider.is_ours else {}
    made = source(settings, provider, held)
    if kubectl.get("namespace", settings.namespace) is None:
        kubectl.apply(_namespace(settings.namespace))
    say("installing")
    changed = helm.bring(RELEASE, made, may_mend=provider.is_ours)
    return "installed" if changed else "nothing has changed"


def _namespace(name: str) -> Object:
    """With Pod Security's strictest level, which everything of Seatrial's satisfies."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": _SECURITY, "annotations": {MADE_BY: "cluster-up"}}}


def await_ready(settings: Settings, kubectl: Kubectl, say: Say) -> str:
    """MLflow and the service, as far as the values have them."""
    conditions: dict[str, Condition] = {}
    if kubectl.get("deployments", MLFLOW):
        conditions["deployments"] = deployment(MLFLOW)
    if kubectl.get("rayservices.ray.io", SERVICE):
        conditions["rayservices"] = ray_service(SERVICE)
    if not conditions:
        return "the values have neither MLflow nor a service"
    wait(kubectl, conditions, settings.limit, say)
    return "MLflow and the service answer" if len(conditions) == 2 else "it answers"
