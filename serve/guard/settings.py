"""What protects the service. Read where the application is built: in the replicas, so set them where Ray starts.

SEATRIAL_SERVE_KEYS              file or folder of bearer keys (serve.guard.keys); without it, everybody who reaches the service may ask
SEATRIAL_SERVE_RATE              requests per second of one key, or of one address where there are no keys (none)
SEATRIAL_SERVE_BURST             requests that may come at once before the rate holds (twice the rate)
SEATRIAL_SERVE_PROXIES           proxies in front that each add an address to X-Forwarded-For; 0 = trust none (0)
SEATRIAL_SERVE_BODY_MIB          largest body, also after decompression (16)
SEATRIAL_SERVE_TIMEOUT_SECONDS   until a request must be read and answered (30)
SEATRIAL_SERVE_WAIT_MS           how long a request may wait for its turn in the replica before it is refused (250)
SEATRIAL_SERVE_ORIGINS           web origins whose pages may ask, separated by commas, or * (none)
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.contracts.errors import SetupError, complaint

PREFIX = "SEATRIAL_SERVE_"


class GuardSettings(BaseModel):
    model_config = ConfigDict(frozen=True)

    keys: str = ""
    rate: float = Field(default=0, ge=0, allow_inf_nan=False, description="per second; 0 = no limit. Each replica counts by itself")
    burst: float = Field(default=0, ge=0, allow_inf_nan=False, description="0 = twice the rate")
    proxies: int = Field(default=0, ge=0, le=10)
    body_mib: int = Field(default=16, ge=1, le=1024)
    timeout_seconds: float = Field(default=30, gt=0, allow_inf_nan=False)
    wait_ms: float = Field(default=250, gt=0, allow_inf_nan=False)
    origins: str = Field(default="", pattern=r"^(|\*|https?://[^\s,/]+(\s*,\s*https?://[^\s,/]+)*)$")

    @property
    def body(self) -> int:
        """Bytes."""
        return self.body_mib << 20


def from_environment(environment: Mapping[str, str] = os.environ) -> GuardSettings:
    """Errors: SetupError for a value that is none."""
    variables = {name: f"{PREFIX}{name.upper()}" for name in GuardSettings.model_fields}
    given = {name: environment[variable].strip() for name, variable in variables.items() if environment.get(variable)}
    try:
        return GuardSettings.model_validate(given)
    except ValidationError as error:
        what, name = complaint(error)
        raise SetupError(what, where=variables[name], hint="docs/guides/serving.md lists the variables") from error
