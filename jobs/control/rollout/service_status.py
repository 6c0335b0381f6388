"""What ``seatrial serve status`` tells: the service, who answers with which share, and every recorded step."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from jobs.control.home import Home
from jobs.control.registry import CHAMPION
from jobs.control.registry_reader import read_model
from jobs.control.rollout import following
from jobs.control.rollout.record import history, parse, settled
from jobs.control.rollout.words import sentence, step_name
from jobs.control.services import get_json, read_service


def service_status(home: Home) -> dict[str, Any]:
    """The first model's, and under ``others`` those of models beside it. Errors: StorageError when the registry cannot be read."""
    record = read_service(home)
    if record is None:
        return {"up": False}
    first, *others = (_model_status(home, record, name) for name in record["models"])
    return {"up": True, "url": record["url"], **first, "others": others}


def _model_status(home: Home, record: dict[str, Any], name: str) -> dict[str, Any]:
    code, model = get_json(f"{record['url']}/v2/models/{quote(name)}")
    state = following.state(record, name)
    registered = read_model(home.tracking_uri, name)
    tags, champion = (registered.tags, registered.aliases.get(CHAMPION, "")) if registered else ({}, "")
    rollout = settled(parse(tags), champion)
    steps = [{"step": step_name(step)} | step.model_dump(mode="json", exclude={"limits"}) for step in history(tags)]
    return {
        "model": name,
        "ready": code == 200,
        "versions": (model or {}).get("versions", []),
        "answers": sentence(rollout),
        "rollout": rollout.model_dump(mode="json"),
        "traffic": state.get("versions", []),
        "problem": state.get("problem", ""),
        "steps": steps,
    }
