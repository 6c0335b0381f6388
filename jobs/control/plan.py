"""What a target would be sent, as plain values: pure, printable, the same bytes for the same arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml


@dataclass(frozen=True)
class Request:
    """One request, in the target's own words."""

    kind: str  # "process" on the local target
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Plan:
    target: str
    run: str
    step: str
    handle: str  # the job's address once submitted
    requests: tuple[Request, ...]
    outputs: Mapping[str, str]  # name -> URI
    losses: tuple[str, ...] = field(default=())  # what the job file asks and this target cannot express

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return yaml.safe_dump(self.as_dict(), sort_keys=False, width=140)
