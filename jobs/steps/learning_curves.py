"""Learning curves out of the ``metrics.jsonl`` that a training step leaves beside its bundle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from jobs.contracts import storage
from jobs.contracts.job import METRICS, reported

PARTS = ("train", "validation")
Curves = dict[str, dict[str, list[tuple[float, float]]]]  # quantity -> part -> (epoch, value) in order


def read(bundle: str) -> Curves:
    """``train_loss`` and ``validation_loss`` become the curves of "loss"; nothing when the file is not there.

    A line that was cut off by a killed process is skipped, and an epoch that ran twice counts as the later run says.
    """
    where = storage.join(bundle.rstrip("/").rpartition("/")[0] or ".", METRICS)
    if not storage.exists(where):
        return {}
    found: dict[str, dict[str, dict[float, float]]] = defaultdict(lambda: defaultdict(dict))
    for line in map(_numbers, reported(storage.read_bytes(where).decode(errors="replace"))):
        for name, value in line.items():
            part, _, quantity = name.partition("_")
            if part in PARTS and quantity and (epoch := line.get("epoch")) is not None:
                found[quantity][part][epoch] = value
    return {quantity: {part: sorted(points.items()) for part, points in parts.items()} for quantity, parts in found.items()}


def _numbers(line: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in line.items() if isinstance(value, int | float)}
