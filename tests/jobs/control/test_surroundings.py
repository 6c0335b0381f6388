"""How many cores this machine's Ray is told of: enough for what may train at once, or training would wait for ever."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.control.spec import TRAINING, Pipeline
from jobs.control.surroundings import logical_cores


@pytest.mark.parametrize(
    ("steps", "cores"),
    [
        ([{"workers": 2, "cpu": 1}], 2),
        ([{"workers": 2, "cpu": 0.25}], 2),
        ([{"workers": 2, "cpu": 3.5}], 6),
        ([{"workers": {"min": 1, "max": 4}, "cpu": 1}], 4),
        ([{"workers": 0, "cpu": 8}], 1),
        ([{"workers": 3}, {"workers": 2}, {"workers": 1}], 5),  # two at once, the default of targets.local.max_parallel
    ],
)
@pytest.mark.parametrize("kind", sorted(TRAINING))
def test_what_training_steps_ask_for_together(steps: list[dict[str, Any]], cores: int, kind: str) -> None:
    train = {"kind": kind, "entry": "shop.model:build", "outputs": {"bundle": "bundle"}}
    named = {f"train-{number}": {**train, "resources": resources} for number, resources in enumerate(steps)}
    assert logical_cores(Pipeline.model_validate({"apiVersion": "seatrial/v1", "name": "parcels", "steps": named})) == cores
