"""GPUs in a cluster on this machine: the driver is this machine's, everything else NVIDIA's operator or minikube's add-on brings."""

from __future__ import annotations

from cluster.bringup.helm import Helm, Source
from cluster.bringup.kubectl import Kubectl, Object
from cluster.bringup.runner import Say
from cluster.bringup.settings import Settings
from cluster.bringup.waiting import World, wait

RESOURCE = "nvidia.com/gpu"
NAMESPACE = RELEASE = "gpu-operator"
_REPOSITORY = "https://helm.ngc.nvidia.com/nvidia"


def prepare(settings: Settings, kubectl: Kubectl, helm: Helm, say: Say) -> str:
    """Until a node offers GPUs. minikube's add-on comes with its start.

    Errors: RunError when none does in time.
    """
    if settings.provider == "kind" and not _offered(kubectl.list("nodes")):
        # NVIDIA's hook calls ldconfig.real, Ubuntu's name of it, and the node is a Debian.
        kubectl.runner.ask("docker", "exec", f"{settings.name}-control-plane", "ln", "-sf", "/sbin/ldconfig", "/sbin/ldconfig.real")
        if kubectl.get("namespace", NAMESPACE) is None:
            kubectl.ask("create", "namespace", NAMESPACE)
        helm.bring(RELEASE, Source(RELEASE, _REPOSITORY, sets=("driver.enabled=false",)), may_mend=True)
    hint = "nvidia-smi must work here, and in a container: docker run --rm --gpus all ubuntu nvidia-smi; see docs/guides/gpu-cluster.md"
    wait(kubectl.within(NAMESPACE), {"nodes": _ready, "pods": _anything}, settings.limit, say, hint=hint)
    return f"{_offered(kubectl.list('nodes'))} x {RESOURCE}"


def _offered(nodes: list[Object]) -> int:
    return sum(int(node.get("status", {}).get("allocatable", {}).get(RESOURCE, 0)) for node in nodes)


def _ready(world: World) -> str:
    return "" if _offered(world.all("nodes")) else f"no node offers {RESOURCE} yet"


def _anything(world: World) -> str:
    return ""
