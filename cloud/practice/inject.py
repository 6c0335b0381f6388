"""Drills that the clouds charge for: what goes wrong with the next matching job or request."""

from __future__ import annotations

import json
import threading
import uuid
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from pathlib import Path

KINDS = {
    "spot-interruption": "takes a running spot job's hosts away; it restarts from its checkpoints",
    "quota": "refuses the next job: the account's limit of instances is reached",
    "image-pull": "fails the next job: its image cannot be pulled",
    "access-denied": "refuses the next request that creates something: the caller may not",
    "throttle": "answers the next requests with the service's throttling error",
    "slow-start": "lets the next job wait for capacity before it starts",
    "host-failure": "takes one host away from a running job",
}


@dataclass(frozen=True)
class Injection:
    """``match``: a pattern for names. ``seconds``: how long after the start (spot-interruption, host-failure) or how slow (slow-start)."""

    kind: str
    cloud: str = ""  # aws, azure or "" for both
    match: str = "*"
    seconds: float = 5
    times: int = 1
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def fits(self, kind: str, cloud: str, name: str) -> bool:
        return self.kind == kind and self.cloud in ("", cloud) and fnmatch(name, self.match)


class Injections:
    """What is armed; survives a restart of the service."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._armed = [Injection(**each) for each in json.loads(path.read_text())] if path.exists() else []

    def arm(self, injection: Injection) -> None:
        with self._lock:
            self._armed.append(injection)
            self._write()

    def clear(self) -> int:
        with self._lock:
            count = len(self._armed)
            self._armed = []
            self._write()
        return count

    @property
    def armed(self) -> list[Injection]:
        with self._lock:
            return list(self._armed)

    def take(self, kind: str, cloud: str, name: str) -> Injection | None:
        """The first armed injection that fits, which is used up by one time; None if there is none."""
        with self._lock:
            for index, each in enumerate(self._armed):
                if each.fits(kind, cloud, name):
                    left = [Injection(**{**asdict(each), "times": each.times - 1})] if each.times > 1 else []
                    self._armed[index : index + 1] = left
                    self._write()
                    return each
        return None

    def _write(self) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text(json.dumps([asdict(each) for each in self._armed], indent=1))
        temporary.replace(self._path)
