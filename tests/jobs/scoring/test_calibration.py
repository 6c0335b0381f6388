"""The temperature against SciPy's search, and what it must never change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

from jobs.contracts.errors import RunError
from jobs.scoring import calibration, metrics


def of_two(sharpness: float, rows: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are ``sharpness`` times too large, and labels drawn from the right ones."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, rows)
    return sharpness * logits, (random.random(rows) < expit(logits)).astype(np.float64)


def of_four(sharpness: float, rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    logits = random.normal(0, 1.5, (rows, 4))
    return sharpness * logits, (logits + random.gumbel(size=(rows, 4))).argmax(axis=1).astype(np.float64)


def surprise(temperature: float, logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood, where each label may be the likeliest other class."""
    logits = np.stack([np.zeros_like(logits), logits], axis=1) if logits.ndim == 1 else logits
    rows, own, doubt = np.arange(len(labels)), labels.astype(int), 1 / (len(labels) + 2)
    others = logits.copy()
    others[rows, own] = -np.inf
    likely = log_softmax(logits / temperature, axis=1)
    return float(-((1 - doubt) * likely[rows, own] + doubt * likely[rows, others.argmax(axis=1)]).mean())


@pytest.mark.parametrize("made", [of_two, of_four])
@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_no_other_temperature_surprises_less(made: object, sharpness: float) -> None:
    logits, labels = made(sharpness)  # type: ignore[operator]
    found = calibration.fitted(logits, labels)
    best = minimize_scalar(surprise, bounds=(0.05, 20), args=(logits, labels), method="bounded", options={"xatol": 1e-7}).x
    assert found == pytest.approx(best, rel=1e-4)
    assert found == pytest.approx(sharpness, rel=0.1)


@given(st.floats(0.05, 20), st.lists(st.floats(-30, 30), min_size=2, max_size=50))
@settings(max_examples=200, deadline=None)
def test_no_temperature_changes_which_row_comes_first(temperature: float, logits: list[float]) -> None:
    plain = np.array(logits)
    order = np.argsort(plain, kind="stable")
    assert (np.diff(expit(plain / temperature)[order]) >= 0).all()
    assert (np.diff(calibration.undone(expit(plain).astype(np.float32), temperature)[order]) >= 0).all()


def test_undone_gives_what_was_there_before() -> None:
    logits, labels = of_two(3.0)
    np.testing.assert_allclose(calibration.undone(expit(logits / 2.5).astype(np.float32), 2.5), expit(logits), atol=1e-5)
    classes, numbers = of_four(3.0)
    for temperature in (0.3, 2.5):
        found = calibration.undone(softmax(classes / temperature, axis=1).astype(np.float32), temperature)
        np.testing.assert_allclose(found, softmax(classes, axis=1), atol=1e-5)
    assert len(labels) == len(numbers)


def test_a_fitted_temperature_lowers_the_calibration_error_and_keeps_the_ranking() -> None:
    logits, labels = of_two(4.0)
    before, after = expit(logits), expit(logits / calibration.fitted(logits, labels))
    assert metrics.calibration_error(labels, after) < 0.3 * metrics.calibration_error(labels, before)
    assert metrics.roc_auc(labels, after) == metrics.roc_auc(labels, before)


def test_rows_without_a_mistake_do_not_make_a_model_sure() -> None:
    """The rule of succession: of 98 rows without a mistake, one in a hundred would be one."""
    labels = np.arange(98) % 2
    logits = np.where(labels == 1, 9.0, -9.0)
    found = calibration.fitted(logits, labels)
    assert expit(9 / found) == pytest.approx(0.99, abs=1e-4)


def test_a_model_that_is_wrong_about_every_row_ends_at_the_limit() -> None:
    assert calibration.fitted(np.array([2.0, 1.0, -1.0, -2.0]), np.array([0, 0, 1, 1])) == pytest.approx(calibration.HIGHEST, rel=1e-4)


def test_a_logit_that_is_no_number_is_refused() -> None:
    with pytest.raises(RunError, match="1 of 2 rows a logit"):
        calibration.fitted(np.array([np.nan, 1.0]), np.array([0.0, 1.0]))
