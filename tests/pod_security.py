"""Pod Security ``restricted``, and what we ask beyond it: read-only roots, bounds, a place to write. For every pod template.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def violations(pod: dict[str, Any]) -> Iterator[str]:
    """What the profile, or we, would refuse."""
    security = pod.get("securityContext", {})
    if not security.get("runAsNonRoot") or security.get("runAsUser") == 0:
        yield "may run as root"
    if security.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "no seccomp profile"
    if any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares the host's namespaces"
    yield from (f"volume {volume['name']}" for volume in pod["volumes"] if set(volume) - {"name"} - VOLUMES)
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        yield from (f"{container['name']}: {each}" for each in container_violations(container))


def container_violations(container: dict[str, Any]) -> Iterator[str]:
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if security.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    if security.get("privileged") or security.get("runAsUser") == 0 or security.get("runAsNonRoot") is False:
        yield "privileged"
    if not security.get("readOnlyRootFilesystem"):
        yield "writes to its root"
    amounts = container.get("resources", {})
    yield from (f"no {kind} of {what}" for kind in ("requests", "limits") for what in ("cpu", "memory") if what not in amounts.get(kind, {}))
    if "/tmp" not in [mount["mountPath"] for mount in container["volumeMounts"]]:
        yield "nowhere to write"
