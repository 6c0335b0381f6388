"""Which model answers: follows a registry alias and swaps versions without dropping a request.

A background thread asks where the alias points; for a new version it loads, verifies and warms up, then replaces
one attribute. Requests read that attribute once, so a request under way ends on the version it began with. When
loading fails, the old version keeps answering and the reason is logged.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from serve.model import LoadedModel

if TYPE_CHECKING:
    from jobs.control.registry_reader import ModelVersion
    from serve.seam import Scored

    Resolver = Callable[[], ModelVersion | None]

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25  # reading the alias is one query of a local SQLite file
REMOTE_POLL_SECONDS = 1.0  # over HTTP it is one request, 6 ms of the registry's server, from every replica
RETRY_SECONDS = 5.0  # before a version that failed to load is tried again (its store may have been away)


class ModelSlot:
    """Holds the live model of one registered name. ``resolver`` says where the alias points now."""

    def __init__(self, name: str, resolver: Resolver, *, poll_seconds: float = POLL_SECONDS) -> None:
        self.name = name
        self.live: LoadedModel | None = None
        self.problem = ""  # why the version that the alias points to is not live; empty when all is well
        self._resolver, self._poll_seconds = resolver, poll_seconds
        self._failed: tuple[ModelVersion, float] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def choose(self, request_id: str) -> LoadedModel | None:
        return self.live

    def by_version(self, version: str) -> LoadedModel | None:
        live = self.live
        return live if live is not None and live.version == version else None

    def after(self, scored: Scored) -> None:
        pass

    def state(self) -> dict[str, Any]:
        return {}

    def start(self) -> None:
        self._thread = threading.Thread(target=self._follow, daemon=True, name="model-slot")
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=5)

    def refresh(self) -> None:
        """Look once where the alias points, and load that version if it is another one. Never raises."""
        try:
            wanted = self._resolver()
        except Exception as error:  # a registry that is away must not stop a model that is here
            self._report("cannot read the registry", error)
            return
        if wanted is None or self._is_live(wanted):
            self.problem = ""  # an alias that went away leaves the last good version answering
        elif not self._failed_lately(wanted):
            self._load(wanted)

    def _load(self, wanted: ModelVersion) -> None:
        started = time.monotonic()
        try:
            self.live = LoadedModel(wanted)
        except Exception as error:  # whatever is wrong with the new version, the old one is fine
            self._failed = (wanted, time.monotonic())
            self._report(f"version {wanted.version} does not load", error)
        else:
            self.problem = ""
            log.info("%s version %s is live after %.0f ms", self.name, wanted.version, 1e3 * (time.monotonic() - started))

    def _is_live(self, wanted: ModelVersion) -> bool:
        live = self.live
        return live is not None and (live.version, live.uri) == (wanted.version, wanted.uri)

    def _failed_lately(self, wanted: ModelVersion) -> bool:
        return self._failed is not None and self._failed[0] == wanted and time.monotonic() - self._failed[1] < RETRY_SECONDS

    def _report(self, what: str, error: Exception) -> None:
        """Clients are told what is wrong; where and why in detail is for the log."""
        problem = f"{what}: {getattr(error, 'what', error)}"
        if problem != self.problem:  # once, not at every poll
            log.warning("%s: %s: %s%s", self.name, what, error, f"; version {self.live.version} keeps answering" if self.live else "")
        self.problem = problem

    def _follow(self) -> None:
        while True:
            self.refresh()
            if self._stop.wait(self._poll_seconds):
                return
