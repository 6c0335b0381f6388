"""Whether the service of a home has taken up a step."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from jobs.control.home import Home
from jobs.control.services import get_json, read_service

_PATIENCE = 10.0  # seconds: the poll is 0.25 s, loading a version well under a second
_PAUSE = 0.1


def wait_until_followed(home: Home, name: str, revision: int, patience: float = _PATIENCE) -> bool | None:
    """True once the service stands at this step or a later one, False when it does not in time, None where no service of this model is up."""
    record = read_service(home)
    if record is None or name not in record["models"]:
        return None
    deadline = time.monotonic() + patience
    while True:
        if stands_at(record, name) >= revision:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)


def stands_at(record: dict[str, Any], name: str) -> int:
    """The step at which the replica that answered stands; 0 where it cannot tell."""
    return int(state(record, name).get("rollout", {}).get("revision", 0))


def state(record: dict[str, Any], name: str) -> dict[str, Any]:
    """What a replica says of a model's traffic (``Traffic.state``); empty while it says nothing."""
    _, answer = get_json(f"{record['url']}/v2/models/{quote(name)}")
    found = (answer or {}).get("parameters", {}).get("traffic", {})
    return dict(found) if isinstance(found, dict) else {}
