"""Intervals hold the share that they promise."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.contracts.errors import InputError
from jobs.scoring import conformal


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.99])
def test_other_rows_lie_within_as_often_as_promised(level: float) -> None:
    random = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        labels = random.standard_t(3, 1200)  # far outliers
        width = conformal.half_width(labels[:200], np.zeros(200), level)
        shares.append(conformal.covered(labels[200:], np.zeros(1000), width) / 1000)
    assert level - 0.005 < np.mean(shares) < level + 1 / 201 + 0.005


def test_half_width_by_hand() -> None:
    labels, values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]), np.zeros(9)
    assert conformal.half_width(labels, values, 0.9) == 9.0  # rank ceil(10 * 0.9) = 9 of 9
    assert conformal.half_width(labels, values, 0.5) == 5.0
    assert conformal.covered(labels, values, 5.0) == 5


def test_too_few_rows_are_refused_with_how_many_it_takes() -> None:
    assert conformal.half_width(np.arange(19.0), np.zeros(19), 0.95) == 18.0
    with pytest.raises(InputError, match="18 validation rows are too few for intervals of 95%") as caught:
        conformal.half_width(np.arange(18.0), np.zeros(18), 0.95)
    assert "at least 19 rows" in caught.value.hint
