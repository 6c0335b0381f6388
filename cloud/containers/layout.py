"""SageMaker's folder ``/opt/ml``: what a container is told, and where it leaves what it made.

``SEATRIAL_ML_ROOT`` stands for ``/opt/ml`` where no mount can put a folder there. Source: the SageMaker developer guide, "How
Amazon SageMaker AI provides training information" and "Build your own processing container".
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.contracts.errors import InputError

ROOT = "SEATRIAL_ML_ROOT"
REASON = 1024  # bytes of a failure's reason that SageMaker shows


@dataclass(frozen=True)
class Hosts:
    """The machines of a job by name, in the same order on each of them."""

    current: str
    names: tuple[str, ...]

    @property
    def head(self) -> str:
        return self.names[0]

    @property
    def is_head(self) -> bool:
        return self.current == self.head

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name != self.current)

    def __len__(self) -> int:
        return len(self.names)


class Layout:
    """The paths below ``/opt/ml``. Files that a job has not are empty: a container may be tried with a folder made by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "input" / "config"
        self.data = root / "input" / "data"
        self.model = root / "model"
        self.output = root / "output"
        self.code = root / "code"

    @classmethod
    def here(cls, env: Mapping[str, str] = os.environ) -> Layout:
        return cls(Path(env.get(ROOT) or "/opt/ml"))

    def hyperparameters(self) -> dict[str, str]:
        """As the request has them: every value is a text."""
        return _read(self.config / "hyperparameters.json")

    def resources(self) -> dict[str, Any]:
        """``resourceconfig.json``, which processing jobs have in another place."""
        return _read(self.config / "resourceconfig.json") or _read(self.root / "config" / "resourceconfig.json")

    def channels(self) -> dict[str, Any]:
        return _read(self.config / "inputdataconfig.json")

    def hosts(self) -> Hosts:
        """Errors: InputError when the current host is none of the hosts."""
        resources = self.resources()
        current = str(resources.get("current_host", "algo-1"))
        names = tuple(map(str, resources.get("hosts", [current])))
        if current not in names:
            raise InputError(f"host {current!r} is none of {', '.join(names)}", where="resourceconfig.json", hint="current_host must be one of hosts")
        return Hosts(current, names)

    def fail(self, reason: str) -> None:
        """Leave the reason of a failure where the job's description takes it from: ``failure`` of training, ``message`` of processing."""
        text = shortened(reason)
        with suppress(OSError):  # a full disk must not hide the first error, which is on standard error already
            self.output.mkdir(parents=True, exist_ok=True)
            for name in ("failure", "message"):
                (self.output / name).write_text(text)
        print(reason, file=sys.stderr, flush=True)


def shortened(reason: str) -> str:
    """At most :data:`REASON` bytes of UTF-8: text that is cut inside a character is refused as a whole."""
    return reason.encode()[:REASON].decode(errors="ignore")


def _read(path: Path) -> dict[str, Any]:
    """Errors: InputError for a file that is no JSON object."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"this is no JSON: {error}", where=str(path), hint="SageMaker writes this file; a hand-made one must be JSON too") from error
    if not isinstance(found, dict):
        raise InputError("this is no JSON object", where=str(path), hint="SageMaker writes this file; a hand-made one must be an object too")
    return found
