"""Starts groups, gives out loopback addresses, and ends everything it started."""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections.abc import Callable

from cloud.practice.hosts import isolation
from cloud.practice.hosts.group import HostGroup
from cloud.practice.hosts.run import Run

_PER_NETWORK = 254


class Executor:
    """One for the whole service. ``isolation`` names how far hosts are separated here."""

    def __init__(self, separation: isolation.Isolation | None = None) -> None:
        self._isolation = separation or isolation.find()
        self._runs: set[Run] = set()
        self._lock = threading.Lock()
        self._addresses = itertools.count()

    @property
    def isolation(self) -> str:
        return self._isolation.name

    def addresses(self, count: int) -> list[str]:
        """Loopback addresses that no running group has (the whole of 127/8 is this machine, on Linux without any set-up).

        Ports on two hosts of one group, or of two groups, so do not meet unless a program listens on every address.
        """
        with self._lock:
            numbers = [next(self._addresses) for _ in range(count)]
        return [f"127.0.{1 + number // _PER_NETWORK % _PER_NETWORK}.{1 + number % _PER_NETWORK}" for number in numbers]

    def start(self, group: HostGroup, on_line: Callable[[str, str], None] = lambda host, line: None) -> Run:
        """Start every host of a group; ``on_line(host, line)`` is called from threads of the run."""
        run = Run(group, self._isolation, on_line, [self._cores(group, index) for index in range(len(group.hosts))], self._forget)
        with self._lock:
            self._runs.add(run)
        run.begin()
        return run

    def _forget(self, run: Run) -> None:
        with self._lock:
            self._runs.discard(run)

    @property
    def running(self) -> list[Run]:
        with self._lock:
            return list(self._runs)

    def close(self) -> None:
        """Kill what is left; returns when it is gone."""
        for run in self.running:
            run.kill()
        for run in self.running:
            run.wait(10)

    @staticmethod
    def _cores(group: HostGroup, index: int) -> list[int]:
        """The cores that a host may use: neighbours take different ones as far as there are enough."""
        if not group.limits.cpu or not hasattr(os, "sched_getaffinity"):
            return []
        usable = sorted(os.sched_getaffinity(0))
        wanted = math.ceil(group.limits.cpu)
        return [] if wanted >= len(usable) else [usable[(index * wanted + offset) % len(usable)] for offset in range(wanted)]
