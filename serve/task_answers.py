"""How the answers of each task type are written, and read again by a client.

binary       {"probability": 0.83, "label": 1}                       label: whether the probability reaches the bundle's threshold
multiclass   {"label": "seven", "probability": 0.98, "probabilities": {"one": 0.01, "seven": 0.98, ...}}
others       {"value": 12.5}, and where the bundle has intervals {"value": 12.5, "low": 10.1, "high": 14.9}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.contracts.bundle import Bundle


def written(bundle: Bundle, scores: NDArray[Any]) -> list[dict[str, Any]]:
    """One object per row of scores, [n] or of classes [n, K]."""
    if bundle.task == "binary":
        threshold = bundle.threshold
        return [{"probability": probability, "label": int(probability >= threshold)} for probability in scores.tolist()]
    if bundle.task == "multiclass":
        likeliest = scores.argmax(axis=1).tolist() if len(scores) else []
        rows = zip(likeliest, scores.tolist(), strict=True)
        return [{"label": bundle.classes[best], "probability": row[best], "probabilities": dict(zip(bundle.classes, row, strict=True))} for best, row in rows]
    if bundle.intervals:
        reach = bundle.intervals.half_width
        return [{"value": value, "low": value - reach, "high": value + reach} for value in scores.tolist()]
    return [{"value": value} for value in scores.tolist()]


def read(answers: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
    """What :func:`written` was given; the classes are in the bundle's order, because JSON objects keep theirs."""
    return np.array(
        [list(each["probabilities"].values()) if "probabilities" in each else each.get("value", each.get("probability")) for each in answers], np.float32
    )


def schema(bundle: Bundle | None) -> dict[str, Any]:
    """Properties of one answer, as JSON Schema."""
    probability = {"type": "number", "minimum": 0, "maximum": 1, "description": bundle.output if bundle else ""}
    if bundle and bundle.task == "multiclass":
        classes = {name: {"type": "number", "minimum": 0, "maximum": 1} for name in bundle.classes}
        each = {"type": "object", "properties": classes, "required": list(classes), "description": bundle.output}
        likeliest = probability | {"description": "the likeliest class's"}
        return {"label": {"enum": list(bundle.classes), "description": "the likeliest class"}, "probability": likeliest, "probabilities": each}
    if bundle and bundle.task != "binary":
        return {"value": {"type": "number", "description": bundle.output}, **_ends(bundle)}
    return {"probability": probability, "label": {"enum": [0, 1], "description": "1 where the probability reaches the bundle's threshold"}}


def _ends(bundle: Bundle) -> dict[str, Any]:
    if bundle.intervals is None:
        return {}
    what = f"of the interval that is meant to hold {bundle.intervals.level:.0%} of rows"
    return {name: {"type": "number", "description": f"{name} end {what}"} for name in ("low", "high")}
