"""A step's input that names a registered model: ``models:/name@champion``, ``models:/name/3``, or ``models:/name`` (its champion).

It is looked up when the step begins, and bound to that version's bundle by its fingerprint: a step whose alias has moved since is
other work. A target with a registry of its own (SageMaker, Azure ML) is asked for the champion alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobs.contracts import fingerprint
from jobs.contracts.errors import RequestError
from jobs.control import artefacts
from jobs.control.catalog import find_model
from jobs.control.home import Home
from jobs.control.plan import Source
from jobs.control.registry import CHAMPION, TargetRegistry
from jobs.control.registry_reader import ModelVersion
from jobs.control.staging import source_of

SCHEME = "models:/"


def is_model(location: str) -> bool:
    return location.startswith(SCHEME)


@dataclass(frozen=True)
class Models:
    """Where registered models are looked up. ``registry``: the target's own; None = MLflow."""

    home: Home
    registry: TargetRegistry | None = None

    def source(self, location: str) -> Source:
        """The bundle of a registered version, where it can be read.

        Errors: RequestError when there is no such model, version or alias.
        """
        wanted = location.removeprefix(SCHEME).lstrip("/")
        if self.registry is None:
            return source_of_version(self.home, find_model(self.home, wanted))
        name, _, alias = wanted.partition("@")
        if alias not in ("", CHAMPION) or "/" in name:
            hint = f"write models:/{name.partition('/')[0]}@{CHAMPION}, or give the bundle's own location"
            raise RequestError("this target's own registry is asked for the champion alone", where=location, hint=hint)
        version = self.registry.champion(name)
        if version is None:
            raise RequestError(f"the target's registry has no champion of {name!r}", where=location, hint="run a pipeline there whose gate it passes")
        return Source(version.uri, version.fingerprint)  # it lies in the target's store already


def source_of_version(home: Home, version: ModelVersion) -> Source:
    """Errors: as :func:`jobs.control.artefacts.fetch`."""
    return replace(source_of(artefacts.fetch(version, home.root / "cache")), fingerprint=version.fingerprint)


def named(location: str) -> Source:
    """What stands for a model in a plan that is made before there is one."""
    return Source(location, fingerprint.of(location))
