"""Pods that Pod Security's strictest profile, ``restricted``, admits: no root, nothing to gain, nothing to write but mounts.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.names import node_label
from cluster.rendering.amounts import GPU, Amounts
from jobs.control.spec import KubernetesTarget

POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 100, "fsGroup": 100, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
PRODUCT_LABEL = "nvidia.com/gpu.product"  # set on nodes by NVIDIA's feature discovery, which its GPU operator installs


@dataclass(frozen=True)
class Mount:
    """A volume and where the container sees it."""

    name: str
    path: str
    source: Mapping[str, Any]
    read_only: bool = False
    sub_path: str = ""  # of the volume; "" = its root

    def volume(self) -> dict[str, Any]:
        return {"name": self.name, **self.source}

    def mount(self) -> dict[str, Any]:
        more = {"readOnly": True} if self.read_only else {}
        return {"name": self.name, "mountPath": self.path, **more, **({"subPath": self.sub_path} if self.sub_path else {})}


# Python, Ray and Spark all insist on a temporary folder; with a read-only root this is the only place to write.
SCRATCH = Mount("tmp", "/tmp", {"emptyDir": {}})  # noqa: S108 - inside the pod


def container(
    settings: KubernetesTarget,
    name: str,
    image: str,
    amounts: Amounts,
    mounts: Sequence[Mount],
    env: Sequence[Mapping[str, Any]],
    **more: Any,
) -> dict[str, Any]:
    """``more``: further fields, such as ``command``."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": settings.images.pull_policy,
        **more,
        "env": list(env),
        "resources": amounts.as_dict(),
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [mount.mount() for mount in mounts],
    }


def pod_spec(
    settings: KubernetesTarget,
    only: Mapping[str, Any],
    mounts: Sequence[Mount],
    *,
    account: str = "",
    token: bool = False,
    accelerator: str = "",
    restart: str = "Never",
) -> dict[str, Any]:
    """A pod of one container. ``account`` empty = whoever makes the pod chooses; ``token`` = its API token is mounted."""
    gpu = GPU in only["resources"]["limits"]
    selector = {**settings.node_selector, **(_gpu_nodes(settings, accelerator) if gpu else {})}
    tolerations = [*settings.tolerations] + ([{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}] if gpu else [])
    return {
        "restartPolicy": restart,
        **({"serviceAccountName": account} if account else {}),
        "automountServiceAccountToken": token,
        "enableServiceLinks": False,  # a Service named seatrial-… would otherwise set SEATRIAL_* variables of its own
        "securityContext": POD_SECURITY,
        **({"imagePullSecrets": [{"name": name} for name in settings.images.pull_secrets]} if settings.images.pull_secrets else {}),
        **({"runtimeClassName": settings.gpu_runtime_class} if gpu and settings.gpu_runtime_class else {}),
        **({"nodeSelector": selector} if selector else {}),
        **({"tolerations": tolerations} if tolerations else {}),
        "containers": [only],
        "volumes": [mount.volume() for mount in mounts],
    }


def separate(value: Any) -> Any:
    """The same value as a tree: nothing in it is shared, so no change spreads and YAML needs no anchors."""
    if isinstance(value, Mapping):
        return {key: separate(each) for key, each in value.items()}
    return [separate(each) for each in value] if isinstance(value, (list, tuple)) else value


def _gpu_nodes(settings: KubernetesTarget, accelerator: str) -> dict[str, str]:
    """A selector of the target's own, such as GKE's ``cloud.google.com/gke-accelerator``, goes beside NVIDIA's label."""
    product = {PRODUCT_LABEL: node_label(accelerator)} if node_label(accelerator) else {}
    return {**product, **settings.gpu_node_selector}
