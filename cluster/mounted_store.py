"""The store on a volume, from inside: a driver that runs in the cluster has it mounted, and needs no other pod to reach it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from cluster.kube_client import IN_CLUSTER
from cluster.rendering import STORE
from cluster.volume import in_pod
from jobs.contracts import storage
from jobs.control import staging
from jobs.control.plan import Upload


class VolumeStore(Protocol):
    """A ``pvc://`` store, however it is reached."""

    def bring(self, upload: Upload) -> bool:
        """Copy an upload's files there, unless its folder is there. Returns whether anything was copied."""
        ...

    def exists(self, uri: str) -> bool: ...

    def read(self, uri: str) -> bytes:
        """Errors: InputError when it is not there."""
        ...

    def fetch(self, uri: str) -> str:
        """A path here with the same content."""
        ...


def is_mounted_here(context: str) -> bool:
    return context == IN_CLUSTER and Path(STORE).is_mount()


class MountedStore:
    def __init__(self, store: str) -> None:
        self._store = store

    def bring(self, upload: Upload) -> bool:
        return staging.bring(replace(upload, target=in_pod(upload.target, self._store)))

    def exists(self, uri: str) -> bool:
        return storage.exists(in_pod(uri, self._store))

    def read(self, uri: str) -> bytes:
        return storage.read_bytes(in_pod(uri, self._store))

    def fetch(self, uri: str) -> str:
        return in_pod(uri, self._store)
