"""The pod through which files reach a ``pvc://`` store."""

from __future__ import annotations

from typing import Any

from cluster.rendering import config_maps, environment, labels
from cluster.rendering.amounts import Amounts
from cluster.rendering.pods import SCRATCH, container, pod_spec, separate
from jobs.control.spec import KubernetesTarget

CONTAINER = "staging"
LIFE = 3600  # seconds; ends a pod whose starter was killed before it could
_AMOUNTS = Amounts(cpu=0.05, memory=256, cpu_limit=1)


def staging_pod(settings: KubernetesTarget, name: str) -> dict[str, Any]:
    """Waits with the store mounted; whoever made it deletes it, and it ends by itself after an hour."""
    mounts = [SCRATCH, *config_maps.store_mounts(settings)]
    env = environment.literals({"HOME": SCRATCH.path})
    only = container(settings, CONTAINER, settings.images.ray, _AMOUNTS, mounts, env, command=["sleep", str(LIFE)])
    # `sleep` as a container's first process takes no signal, so there is nothing to wait for.
    spec = {**pod_spec(settings, only, mounts, account=settings.service_account), "activeDeadlineSeconds": LIFE, "terminationGracePeriodSeconds": 0}
    label = {"app.kubernetes.io/name": "seatrial", "app.kubernetes.io/component": "staging", **labels.version(settings.images.ray), **labels.MANAGED}
    return separate({"apiVersion": "v1", "kind": "Pod", "metadata": labels.metadata(settings, name, label), "spec": spec})
