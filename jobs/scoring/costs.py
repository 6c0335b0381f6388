"""What decisions cost: each wrong yes and each wrong no has its price, and right ones are free."""

from __future__ import annotations

import numpy as np

from jobs.contracts.bundle import Costs
from jobs.scoring.metrics import Array, Ranking, checked

_BEYOND = 1 + 1e-6  # lies above every probability, so that a threshold can also say no to the highest one


def cost_of(labels: Array, scores: Array, threshold: float, costs: Costs) -> float:
    """Mean cost per row of saying yes from ``threshold`` on; labels 0/1 [n], probabilities [n]."""
    labels, scores = checked(labels, scores)
    said = scores >= threshold
    return float(np.mean(costs.false_positive * (said & (labels == 0)) + costs.false_negative * (~said & (labels == 1))))


def cheapest_threshold(labels: Array, scores: Array, costs: Costs) -> float:
    """The threshold of the lowest cost, halfway to the next lower score, so that rounding cannot flip a row; of equal costs the fewest yeses.

    Choose it on the validation part; on the test part it would flatter the model.
    """
    ranking = Ranking(labels, scores)
    hits, misses = (np.append(0.0, counted) for counted in ranking.cumulative())  # the first one says yes to nobody
    cheapest = int(np.argmin(costs.false_positive * misses + costs.false_negative * (hits[-1] - hits)))
    return float(np.concatenate([[_BEYOND], ranking.distinct, [0.0]])[cheapest : cheapest + 2].mean())
