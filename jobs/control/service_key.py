"""The key with which clients of this machine ask a service that wants one.

SEATRIAL_SERVE_KEY     the key itself: in a job file, a secret of the deploy step
SEATRIAL_SERVE_KEYS    where a service on this machine has its keys (``serve.guard.keys``); a client beside it takes the first one
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

KEY, KEYS = "SEATRIAL_SERVE_KEY", "SEATRIAL_SERVE_KEYS"


def authorization(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The header to send; empty where there is no key."""
    key = environment.get(KEY, "").strip() or first_of(environment.get(KEYS, ""))
    return {"authorization": f"Bearer {key}"} if key else {}


def first_of(place: str) -> str:
    """Any key of a file of ``name:key`` lines or of a folder with a file for each; empty where there is none or it cannot be read."""
    path = Path(place)
    try:
        if not place:
            return ""
        if path.is_dir():
            return next((file.read_text().strip() for file in sorted(path.iterdir()) if not file.name.startswith(".")), "")
        lines = [line.strip() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError):
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line and not line.startswith("#")), "")
