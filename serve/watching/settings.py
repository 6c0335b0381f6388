"""What of live traffic is kept, and where. The folder is shared by all replicas of a service.

SEATRIAL_PREDICTIONS           folder, "off" for none; default: predictions/ beside an embedded registry, else none
SEATRIAL_PREDICTIONS_SAMPLE    share of requests that are logged, 0 to 1 (1)
SEATRIAL_PREDICTIONS_BYTES     bound of a model's log on disk (268,435,456); the oldest files go first
SEATRIAL_PREDICTIONS_SECONDS   age at which what waits in memory becomes a file (30): that much a crash may lose
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.contracts.errors import SetupError, complaint
from jobs.control.registry_reader import SQLITE

PREFIX, OFF = "SEATRIAL_PREDICTIONS", "off"


class LogSettings(BaseModel):
    model_config = ConfigDict(frozen=True)

    folder: str = ""
    sample: float = Field(default=1.0, ge=0, le=1)
    bytes: int = Field(default=256 << 20, ge=1 << 20)
    seconds: float = Field(default=30.0, gt=0)
    rows: int = Field(default=50_000, ge=1, description="at which a file is written before its time; also what one look takes at most")


def from_environment(tracking_uri: str, environment: Mapping[str, str] = os.environ) -> LogSettings:
    """Errors: SetupError for a value that is none."""
    folder = environment.get(PREFIX) or _beside(tracking_uri)
    given = {name: environment[f"{PREFIX}_{name.upper()}"] for name in ("sample", "bytes", "seconds") if environment.get(f"{PREFIX}_{name.upper()}")}
    try:
        return LogSettings.model_validate({"folder": "" if folder == OFF else folder, **given})
    except ValidationError as error:
        what, where = complaint(error)
        raise SetupError(what, where=f"{PREFIX}_{where.upper()}", hint="docs/guides/drift.md lists the variables") from error


def _beside(tracking_uri: str) -> str:
    return str(Path(tracking_uri.removeprefix(SQLITE)).parent / "predictions") if tracking_uri.startswith(SQLITE) else ""
