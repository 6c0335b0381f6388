"""Where a cluster comes from, and the table of providers."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol

from cluster.bringup.runner import Runner, Say
from cluster.bringup.settings import Settings
from jobs.contracts.errors import RequestError

# Provider -> "module:class"; each class takes (settings, runner).
PROVIDERS = {
    "kind": "cluster.bringup.kind:Kind",
    "minikube": "cluster.bringup.minikube:Minikube",
    "existing": "cluster.bringup.existing:Existing",
}


class Provider(Protocol):
    tools: tuple[str, ...]  # beside kubectl and helm
    profile: str  # of the chart; empty = its values alone
    is_ours: bool  # we make it and remove it whole
    serve_url: str  # where predictions are answered from this machine; empty = after a port-forward

    @property
    def context(self) -> str:
        """Of the kubeconfig."""
        ...

    def exists(self) -> bool: ...

    def create(self, say: Say) -> str:
        """Make it, start it again, or find it there. Returns what was done, in words."""
        ...

    def load(self, image: str) -> bool:
        """Bring an image of this machine to the nodes. Returns whether it was missing there."""
        ...

    def values(self) -> dict[str, object]:
        """Of the chart, beyond the profile."""
        ...

    def remove(self, *, purge: bool) -> list[str]:
        """Whatever :meth:`create` made. Returns what was left, and why."""
        ...


def open_provider(settings: Settings, runner: Runner) -> Provider:
    """Errors: RequestError that lists the known providers."""
    if settings.provider not in PROVIDERS:
        raise RequestError(f"unknown provider {settings.provider!r}", hint=f"known providers: {', '.join(PROVIDERS)}")
    module, _, kind = PROVIDERS[settings.provider].partition(":")
    return getattr(importlib.import_module(module), kind)(settings, runner)  # type: ignore[no-any-return]


class Record:
    """Whether a cluster was made whole: one that was cut off half-way holds nothing, and is made anew."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "being-made"

    def begin(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.touch()

    def finish(self) -> None:
        self._file.unlink(missing_ok=True)

    @property
    def was_cut_off(self) -> bool:
        return self._file.exists()
