"""What the executor is asked to run, and how that ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Reason = Literal["exited", "stopped", "time", "memory"]


@dataclass(frozen=True)
class Host:
    """One machine of a group.

    ``name`` resolves to ``address`` on every host of the group. ``folder`` is the working directory. ``mounts`` maps an
    absolute path inside to a folder here. ``log`` receives standard output and error, a line each.
    """

    name: str
    address: str
    command: tuple[str, ...]
    environment: dict[str, str]
    folder: Path
    mounts: dict[str, Path] = field(default_factory=dict)
    log: Path = Path("/dev/null")


@dataclass(frozen=True)
class Limits:
    """Of one host, except ``seconds``, which is the group's. Zero means none."""

    cpu: float = 0  # cores, rounded up
    memory: int = 0  # MiB, shared pages counted once
    seconds: float = 0
    grace: float = 120  # seconds between SIGTERM and SIGKILL


@dataclass(frozen=True)
class HostGroup:
    """``leader``: the host whose end with 0 ends the others as well (Ray's workers wait for nobody); default: each ends by itself."""

    name: str
    hosts: tuple[Host, ...]
    limits: Limits = Limits()
    leader: str = ""


@dataclass(frozen=True)
class Ended:
    """``codes``: per host, 128 + n for signal n. ``reason``: why the group ended. ``failed_host``: the first that failed by itself."""

    codes: dict[str, int]
    reason: Reason
    failed_host: str = ""

    @property
    def succeeded(self) -> bool:
        return self.reason == "exited" and not self.failed_host
