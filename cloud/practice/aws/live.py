"""The jobs and endpoints that are at work in this process, by region, kind and name; one thread each."""

from __future__ import annotations

import threading
from typing import Protocol


class Working(Protocol):
    def stop(self) -> None: ...


class Live:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._working: dict[tuple[str, str, str], Working] = {}
        self.closing = False  # the service ends: what is at work is not failed by itself

    def add(self, region: str, kind: str, name: str, working: Working) -> None:
        with self._lock:
            self._working[region, kind, name] = working

    def get(self, region: str, kind: str, name: str) -> Working | None:
        with self._lock:
            return self._working.get((region, kind, name))

    def remove(self, region: str, kind: str, name: str) -> None:
        with self._lock:
            self._working.pop((region, kind, name), None)

    def all(self) -> list[Working]:
        with self._lock:
            return list(self._working.values())
