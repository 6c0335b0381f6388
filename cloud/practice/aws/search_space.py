"""Hyperparameters of a tuning job: draws from its ranges, or the points of a grid.

Bayesian and Hyperband choose here as Random does; what a real service would learn from earlier jobs is not practised.
"""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

Ranges = dict[str, Any]


def draw(ranges: Ranges, generator: random.Random) -> dict[str, str]:
    """One point; values are texts, as hyperparameters are."""
    point = {}
    for each in ranges.get("IntegerParameterRanges", []):
        point[each["Name"]] = str(round(_scaled(each, generator)))
    for each in ranges.get("ContinuousParameterRanges", []):
        point[each["Name"]] = repr(_scaled(each, generator))
    for each in ranges.get("CategoricalParameterRanges", []):
        point[each["Name"]] = generator.choice(each["Values"])
    return point


def grid(ranges: Ranges) -> list[dict[str, str]]:
    """Every combination of the categories; Grid allows nothing else."""
    names = [each["Name"] for each in ranges.get("CategoricalParameterRanges", [])]
    values = [each["Values"] for each in ranges.get("CategoricalParameterRanges", [])]
    return [dict(zip(names, point, strict=True)) for point in itertools.product(*values)]


def _scaled(each: dict[str, Any], generator: random.Random) -> float:
    low, high, scale = float(each["MinValue"]), float(each["MaxValue"]), each.get("ScalingType", "Auto")
    if scale == "Logarithmic" or (scale == "Auto" and low > 0 and high / low >= 1000):
        return math.exp(generator.uniform(math.log(low), math.log(high)))
    if scale == "ReverseLogarithmic":
        return 1 - math.exp(generator.uniform(math.log(1 - high), math.log(1 - low)))
    return generator.uniform(low, high)


def names(ranges: Ranges) -> list[str]:
    kinds = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")
    return [each["Name"] for kind in kinds for each in ranges.get(kind, [])]
