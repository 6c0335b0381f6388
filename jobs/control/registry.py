"""The model registry: versions are immutable, aliases move atomically."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from jobs.contracts.job import Product
from jobs.control.registry_reader import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"


class Registry(Protocol):
    """Only the pipeline driver registers, after the evaluation's verdict. Reading is `registry_reader`'s."""

    def register(self, name: str, bundle: str, *, run: str = "", tags: Mapping[str, str] | None = None) -> ModelVersion:
        """Copy a bundle (a folder's URI) into the registry; a bundle that is there already keeps its version."""
        ...

    def set_alias(self, name: str, alias: str, version: str) -> None: ...


class TargetRegistry(Protocol):
    """A target's own registry, whose versions name bundles where they lie in the target's store."""

    def champion(self, name: str) -> ModelVersion | None: ...

    def register(self, name: str, bundle: Product, *, tags: Mapping[str, str], verdict: Mapping[str, Any]) -> ModelVersion:
        """A bundle that is there already keeps its version."""
        ...

    def set_alias(self, name: str, alias: str, version: str) -> None: ...


@runtime_checkable
class HasRegistry(Protocol):
    """What a backend offers whose target has a registry of its own; others register in MLflow."""

    def registry(self) -> TargetRegistry: ...


def registry_of(backend: object) -> TargetRegistry | None:
    return backend.registry() if isinstance(backend, HasRegistry) else None
