"""How far this system can separate hosts: namespaces where it allows them, the same folders without them elsewhere.

With namespaces a host sees its mounts at their own paths, its own host name and ``/etc/hosts``, its own processes and ``/var/tmp``.
Without, paths inside the command and the environment are rewritten to the folders here, ``SEATRIAL_ML_ROOT`` and
``SAGEMAKER_BASE_DIR`` say where ``/opt/ml`` is, and ``SEATRIAL_HOSTS`` who has which address; a program that insists on ``/opt/ml``
or on a host's name then does not find it.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud.practice.hosts.group import Host, HostGroup

NAMESPACES, FALLBACK = "mount namespaces", "base folder"
_UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--uts", "--kill-child", "--propagation", "private")
_AS_USER = ("--user", "--map-root-user")
_TEMPORARY = "/var/tmp"  # noqa: S108 # short, because Ray puts sockets below it and their paths may have 107 characters
_ML = "/opt/ml"


@dataclass(frozen=True)
class Isolation:
    name: str
    prefix: tuple[str, ...]  # what goes before the command of a host's first process

    @property
    def namespaces(self) -> bool:
        return self.name == NAMESPACES

    def document(self, host: Host, group: HostGroup, cores: list[int]) -> dict[str, Any]:
        """What a host's first process is told."""
        mounts = {inside: str(here) for inside, here in host.mounts.items()}
        environment = dict(host.environment)
        command = list(host.command)
        if self.namespaces:
            temporary = str(host.folder / ".tmp")
            Path(temporary).mkdir(parents=True, exist_ok=True)
            mounts = {_TEMPORARY: temporary, **mounts}
            environment.setdefault("TMPDIR", _TEMPORARY)
        else:
            temporary = tempfile.mkdtemp(prefix="host-")
            environment.setdefault("TMPDIR", temporary)
            environment = {name: rewritten(value, mounts) for name, value in environment.items()}
            command = [rewritten(word, mounts) for word in command]
            environment["SEATRIAL_HOSTS"] = " ".join(f"{each.name}={each.address}" for each in group.hosts)
            if _ML in mounts:
                environment |= {"SEATRIAL_ML_ROOT": mounts[_ML], "SAGEMAKER_BASE_DIR": mounts[_ML]}
        return {
            "name": host.name,
            "hosts": {each.name: each.address for each in group.hosts},
            "namespaces": self.namespaces,
            "mounts": mounts,
            "stage": str(host.folder / ".host"),
            "temporary": temporary,
            "folder": str(host.folder),
            "command": command,
            "environment": environment,
            "cores": cores,
        }


def rewritten(text: str, mounts: dict[str, str]) -> str:
    """A text whose mounted paths are folders here; the longest path first, and only whole path names."""
    for inside in sorted(mounts, key=len, reverse=True):
        parts = text.split(inside)
        text = parts[0] + "".join((mounts[inside] if not part or part[0] in "/:,;\"' \n\t" else inside) + part for part in parts[1:])
    return text


@functools.cache
def find() -> Isolation:
    """The best that works here; tried once."""
    if sys.platform == "linux" and shutil.which("unshare"):
        for prefix in (_UNSHARE, (*_UNSHARE, *_AS_USER)):
            if _works(prefix):
                return Isolation(NAMESPACES, prefix)
    return Isolation(FALLBACK, ())


def _works(prefix: tuple[str, ...]) -> bool:
    """Namespaces may be there and mounting in them forbidden, so that a mount is tried."""
    with tempfile.TemporaryDirectory() as folder:
        probe = [*prefix, "mount", "--bind", folder, str(Path(folder))]
        try:
            return subprocess.run(probe, capture_output=True, timeout=10, check=False).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False
