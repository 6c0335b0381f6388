"""Which loaded version answers a request. Immutable: replicas swap the whole split at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobs.control.rollout.record import Mode, Rollout

if TYPE_CHECKING:
    from serve.model import LoadedModel


@dataclass(frozen=True)
class Split:
    champion: LoadedModel | None = None
    challenger: LoadedModel | None = None
    previous: LoadedModel | None = None
    rollout: Rollout = field(default_factory=Rollout)

    @property
    def percent(self) -> float:
        """Share of requests that the challenger answers now; 0 while it is not loaded."""
        return self.rollout.percent if self.rollout.mode == Mode.CANARY and self.challenger else 0.0

    @property
    def shadow(self) -> LoadedModel | None:
        return self.challenger if self.rollout.mode == Mode.SHADOW else None

    def choose(self, request_id: str) -> LoadedModel | None:
        """The same version for the same id in every replica, and the challenger's share only grows as its percentage grows."""
        percent = self.percent
        return self.challenger if percent and position(request_id) < percent else self.champion

    def models(self) -> Iterator[LoadedModel]:
        """All that is loaded, the champion first."""
        for model in (self.champion, self.challenger, self.previous):
            if model is not None:
                yield model

    def by_version(self, version: str) -> LoadedModel | None:
        return next((model for model in self.models() if model.version == version), None)


def position(request_id: str) -> float:
    """A request's place between 0 and 100, even for ids that count up."""
    digest = hashlib.blake2b(request_id.encode(errors="surrogatepass"), digest_size=4).digest()
    return int.from_bytes(digest, "little") * (100 / 2**32)
