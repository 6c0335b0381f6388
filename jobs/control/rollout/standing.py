"""Who answers now, who is on trial, and where a rollback leads: what a replica asks the registry at every poll."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from jobs.control.mlflow_http import is_server
from jobs.control.registry import CHAMPION
from jobs.control.registry_reader import ModelVersion, read_model, read_version
from jobs.control.rollout.record import Rollout, parse, settled

_KEPT, _KEPT_HERE = 30.0, 2.0  # seconds for which a version of a server, or of this machine, is known: a name may be deleted and registered anew


@dataclass(frozen=True)
class Standing:
    rollout: Rollout = field(default_factory=Rollout)
    champion: ModelVersion | None = None
    challenger: ModelVersion | None = None
    previous: ModelVersion | None = None


class StandingReader:
    """Call it at every poll: one look at the registry, and those for versions not met lately."""

    def __init__(self, tracking_uri: str, name: str, alias: str = CHAMPION) -> None:
        self._uri, self._name, self._alias = tracking_uri, name, alias
        self._known: dict[str, tuple[float, ModelVersion | None]] = {}

    def __call__(self) -> Standing:
        """Errors: StorageError when the registry cannot be read."""
        found = read_model(self._uri, self._name)
        champion = found.aliases.get(self._alias, "") if found else ""
        if found is None or not champion:
            return Standing()
        # Another alias than the champion's is followed as it is: its service tries nothing.
        rollout = settled(parse(found.tags), champion) if self._alias == CHAMPION else Rollout(champion=champion)
        return Standing(rollout, self._version(champion), self._version(rollout.challenger), self._version(rollout.previous))

    def _version(self, number: str) -> ModelVersion | None:
        if not number:
            return None
        read, known = self._known.get(number, (0.0, None))
        if known is None or time.monotonic() - read > (_KEPT if is_server(self._uri) else _KEPT_HERE):
            known = read_version(self._uri, self._name, number)
            self._known[number] = (time.monotonic(), known)
        return known
