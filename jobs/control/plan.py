"""What a target would be sent, as plain values: pure, printable, the same bytes for the same arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml


@dataclass(frozen=True)
class Source:
    """Something a step reads, as the caller knows it before planning."""

    uri: str
    fingerprint: str
    bytes: int = 0  # how much lies there; 0 = made by an earlier step, so it lies in the target's store already
    files: int = 0


@dataclass(frozen=True)
class Upload:
    """A local file or folder that ``stage`` brings to the target's store, unless it is there already."""

    source: str  # local path, or a ``pkg:`` location
    target: str  # URI in the store; named after the content's fingerprint
    fingerprint: str
    bytes: int
    files: int = 1


@dataclass(frozen=True)
class Request:
    """One request, in the target's own words."""

    kind: str  # "process" on local, "POST /api/jobs/" on ray, "RayJob" and other kinds on kubernetes
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Price:
    """What a step may cost: from one minute to its time limit, in ``currency``."""

    low: float
    high: float
    currency: str
    basis: str  # what was multiplied with what, with each price's source and date


@dataclass(frozen=True)
class Plan:
    target: str
    run: str
    step: str
    handle: str  # the job's address once submitted
    folder: str  # URI of the step's folder in the target's store: job.json, metrics.jsonl, outputs.json (written last), error.json
    requests: tuple[Request, ...]
    outputs: Mapping[str, str]  # name -> URI
    uploads: tuple[Upload, ...] = ()
    losses: tuple[str, ...] = field(default=())  # what the job file asks and this target cannot express
    cost: Price | None = None  # None = no price known

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return yaml.safe_dump(self.as_dict(), sort_keys=False, width=140)
