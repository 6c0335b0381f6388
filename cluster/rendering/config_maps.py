"""ConfigMaps: what a step's process is told, and the workload's code where it is small enough."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cluster.rendering import labels
from cluster.rendering.places import CODE, JOB, STORE, Places, claim
from cluster.rendering.pods import SCRATCH, Mount
from jobs.contracts import fingerprint
from jobs.control.spec import KubernetesTarget

_KEY_LIMIT = 200  # characters of a file's name in its key; Kubernetes allows 253


def files(settings: KubernetesTarget, name: str, data: Mapping[str, str], label: dict[str, str], digest: str) -> dict[str, Any]:
    """A ConfigMap that nobody can change under a running step."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": labels.metadata(settings, name, label, digest), "immutable": True, "data": dict(data)}


def code(settings: KubernetesTarget, code_files: Mapping[str, str]) -> dict[str, Any]:
    """Named by its content, so that steps and runs with the same code share one."""
    data = {key: code_files[path] for key, path in _keys(code_files).items()}
    return files(settings, code_name(code_files), data, {"app.kubernetes.io/component": "code", **labels.MANAGED}, fingerprint.of(dict(code_files)))


def code_name(code_files: Mapping[str, str]) -> str:
    return f"seatrial-code-{fingerprint.of(dict(code_files))[:16]}"


def _keys(code_files: Mapping[str, str]) -> dict[str, str]:
    """Key to path. A key has no folders, so the file's number keeps equal names apart."""
    return {f"{index:04d}-{re.sub(r'[^-._a-zA-Z0-9]', '_', path.rsplit('/', 1)[-1])[:_KEY_LIMIT]}": path for index, path in enumerate(sorted(code_files))}


def code_mount(code_files: Mapping[str, str], path: str = CODE) -> Mount:
    items = [{"key": key, "path": file} for key, file in _keys(code_files).items()]
    return Mount("code", path, {"configMap": {"name": code_name(code_files), "items": items}}, read_only=True)


def store_mounts(settings: KubernetesTarget) -> list[Mount]:
    """The store's folder on its claim; nothing for a store that is reached by its URI."""
    name, folder = claim(settings.store)
    return [Mount("store", STORE, {"persistentVolumeClaim": {"claimName": name}}, sub_path=folder)] if name else []


def step_mounts(settings: KubernetesTarget, name: str, places: Places) -> list[Mount]:
    """What every pod of a step sees; ``name``: of the ConfigMap with its job."""
    found = [SCRATCH, Mount("job", JOB, {"configMap": {"name": name}}, read_only=True)]
    if places.code_files is not None:
        found.append(code_mount(places.code_files, places.code))
    return found + store_mounts(settings)
