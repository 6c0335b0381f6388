"""The cheapest threshold against every other one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.contracts.bundle import Costs
from jobs.scoring import costs

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=60)
PRICES = st.tuples(st.floats(0.1, 20), st.floats(0.1, 20))


@given(ROWS, PRICES)
@settings(max_examples=300, deadline=None)
def test_no_other_threshold_costs_less(rows: list[tuple[bool, int]], prices: tuple[float, float]) -> None:
    labels, scores = np.array([row[0] for row in rows], np.int64), np.array([row[1] / 8 for row in rows])
    asked = Costs(false_positive=prices[0], false_negative=prices[1])
    found = costs.cost_of(labels, scores, costs.cheapest_threshold(labels, scores, asked), asked)
    assert found == pytest.approx(min(costs.cost_of(labels, scores, candidate, asked) for candidate in [*np.unique(scores), 2.0]))


def test_of_calibrated_probabilities_the_threshold_is_the_share_of_the_false_positive() -> None:
    random = np.random.default_rng(0)
    scores = random.random(200_000)
    labels = (random.random(200_000) < scores).astype(np.int64)
    assert costs.cheapest_threshold(labels, scores, Costs(false_positive=1, false_negative=4)) == pytest.approx(0.2, abs=0.03)


def test_cost_by_hand() -> None:
    labels, scores, asked = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9]), Costs(false_positive=1, false_negative=5)
    assert costs.cost_of(labels, scores, 0.5, asked) == (1 + 5) / 4
    assert costs.cheapest_threshold(labels, scores, asked) == pytest.approx(0.25)


def test_a_yes_that_costs_too_much_is_never_said_and_a_no_that_does_neither() -> None:
    labels, scores = np.array([0, 1, 0, 1]), np.array([1.0, 0.5, 1.0, 0.5])
    assert costs.cheapest_threshold(labels, scores, Costs(false_positive=100, false_negative=1)) > 1
    assert costs.cheapest_threshold(labels, scores, Costs(false_positive=1, false_negative=100)) < 0.5


@pytest.mark.parametrize("price", [0, -1, float("inf"), float("nan")])
def test_a_price_is_a_number_above_zero(price: float) -> None:
    with pytest.raises(ValidationError):
        Costs(false_positive=price, false_negative=1)
