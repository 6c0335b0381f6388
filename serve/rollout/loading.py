"""Keeps the wanted versions loaded. One that does not load is tried again after a while, and everything else goes on without it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from serve.model import LoadedModel

if TYPE_CHECKING:
    from jobs.control.registry_reader import ModelVersion

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0  # before a version that failed to load is tried again (its store may have been away)

Key = tuple[str, str]  # version, where it lies


class Shelf:
    """Loaded versions of one name. For one thread."""

    def __init__(self) -> None:
        self._models: dict[Key, LoadedModel] = {}
        self._failed: dict[Key, tuple[float, str]] = {}

    def get(self, wanted: ModelVersion | None) -> LoadedModel | None:
        """The version, loaded, verified and warm; None while it does not load."""
        if wanted is None:
            return None
        key = _key(wanted)
        if key not in self._models and not self._failed_lately(key):
            self._load(key, wanted)
        return self._models.get(key)

    def problem(self, wanted: ModelVersion | None) -> str:
        """Why a version is not there; empty when it is."""
        return self._failed.get(_key(wanted), (0.0, ""))[1] if wanted else ""

    def keep(self, wanted: Iterable[ModelVersion | None], models: Iterable[LoadedModel]) -> None:
        """Let go of all others. What a request under way still uses lives until its answer is sent."""
        keys = {_key(version) for version in wanted if version} | {(model.version, model.uri) for model in models}
        self._models = {key: model for key, model in self._models.items() if key in keys}
        self._failed = {key: failed for key, failed in self._failed.items() if key in keys}

    def _load(self, key: Key, wanted: ModelVersion) -> None:
        started = time.monotonic()
        try:
            self._models[key] = LoadedModel(wanted)
        except Exception as error:  # whatever is wrong with this version, the others are fine
            told = f"version {wanted.version} does not load: {getattr(error, 'what', error)}"
            if self._failed.get(key, (0.0, ""))[1] != told:  # once, not at every try
                log.warning("%s: version %s does not load: %s", wanted.name, wanted.version, error)
            self._failed[key] = (time.monotonic(), told)
        else:
            self._failed.pop(key, None)
            log.info("%s version %s is loaded after %.0f ms", wanted.name, wanted.version, 1e3 * (time.monotonic() - started))

    def _failed_lately(self, key: Key) -> bool:
        return key in self._failed and time.monotonic() - self._failed[key][0] < RETRY_SECONDS


def _key(wanted: ModelVersion) -> Key:
    return wanted.version, wanted.uri
