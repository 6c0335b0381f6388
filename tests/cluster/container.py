"""A rendered container as a process of this machine: its command, its variables and its files, as the pod alone tells them.

What a pod mounts lies in folders here. The paths of mounts are replaced wherever the pod or its ConfigMaps name them, and so are
addresses that only a cluster's DNS knows. ``/tmp`` is this machine's own; ``python`` is the one that runs the tests.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.kube_server import NAMESPACE, KubeServer

Object = dict[str, Any]
REPOSITORY = Path(__file__).parents[2]  # every image has its packages
_VERSION = "..2026_11_24_10_00_00.1"  # the kubelet's folder behind a mounted ConfigMap
_OF_THE_IMAGE = ("PATH", "LANG", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Container:
    """The only one of a pod. ``hosts``: address in the cluster -> what stands in for it here."""

    server: KubeServer
    pod: str
    spec: Object  # of the pod
    folder: Path  # for its ConfigMaps
    hosts: Mapping[str, str] = field(default_factory=dict)

    def start(self, entrypoint: str = "", **changes: str | None) -> subprocess.Popen[str]:
        """``entrypoint``: what Ray's submitter starts in it. ``changes`` to its variables; None = without this one."""
        self._lay_out_config_maps()
        argv = shlex.split(entrypoint) or [*self._only["command"], *self._only.get("args", ())]
        variables = {name: value for name, value in {**self.variables(), **changes}.items() if value is not None}
        environment = {name: os.environ[name] for name in _OF_THE_IMAGE if name in os.environ} | {name: self._here(value) for name, value in variables.items()}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [environment.get("PYTHONPATH"), str(REPOSITORY)]))
        return subprocess.Popen(
            [sys.executable if word == "python" else self._here(word) for word in argv],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    @property
    def _only(self) -> Object:
        (only,) = self.spec["containers"]
        return dict(only)

    def variables(self) -> dict[str, str]:
        """As the kubelet fills them in: literals, keys of Secrets, and what a pod knows of itself."""
        return {each["name"]: self._value(each) for each in self._only.get("env", ())}

    def _value(self, entry: Object) -> str:
        if "valueFrom" not in entry:
            return str(entry["value"]).replace("$$", "$")
        source = entry["valueFrom"]
        if "fieldRef" in source:
            return {"metadata.name": self.pod, "metadata.namespace": NAMESPACE}[source["fieldRef"]["fieldPath"]]
        secret = self.server.get("Secret", source["secretKeyRef"]["name"]) or {"data": {}}
        return base64.b64decode(secret["data"][source["secretKeyRef"]["key"]]).decode()

    def _mounts(self) -> Iterator[tuple[str, Path, Object]]:
        """(path in the pod, folder here, volume); scratch is left out."""
        volumes = {volume["name"]: volume for volume in self.spec.get("volumes", ())}
        for mount in self._only.get("volumeMounts", ()):
            volume = volumes[mount["name"]]
            if "persistentVolumeClaim" in volume:
                yield mount["mountPath"], self.server.volume / mount.get("subPath", ""), volume
            elif "configMap" in volume:
                yield mount["mountPath"], self.folder / mount["name"], volume

    def _here(self, text: str) -> str:
        for path, folder, _ in self._mounts():
            text = re.sub(rf"(?<![\w./-]){re.escape(path)}(?![\w.-])", str(folder), text)
        for address, own in self.hosts.items():
            text = text.replace(address, own)
        return text

    def _lay_out_config_maps(self) -> None:
        """As the kubelet does: the files in a folder of this version, and a link to each name at the top."""
        for _, folder, volume in self._mounts():
            if "configMap" not in volume:
                continue
            data = (self.server.get("ConfigMap", volume["configMap"]["name"]) or {})["data"]
            for item in volume["configMap"].get("items") or [{"key": key, "path": key} for key in data]:
                file = folder / _VERSION / item["path"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(self._here(data[item["key"]]))
            (folder / "..data").symlink_to(_VERSION)
            for entry in (folder / _VERSION).iterdir():
                (folder / entry.name).symlink_to(Path("..data", entry.name))
