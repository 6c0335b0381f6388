"""The model registry: versions are immutable, aliases move atomically."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from jobs.control.registry_reader import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"


class Registry(Protocol):
    """Only the pipeline driver registers, after the evaluation's verdict. Reading is `registry_reader`'s."""

    def register(self, name: str, bundle: str, *, run: str = "", tags: Mapping[str, str] | None = None) -> ModelVersion:
        """Copy a bundle (a folder's URI) into the registry; a bundle that is there already keeps its version."""
        ...

    def set_alias(self, name: str, alias: str, version: str) -> None: ...
