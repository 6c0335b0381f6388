"""Metrics against scikit-learn, and the weighted bootstrap against one that copies rows."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from jobs.contracts.errors import InputError, RunError
from jobs.scoring import metrics


def example(rows: int, seed: int = 1, digits: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from their own scores, rounded so that many tie."""
    random = np.random.default_rng(seed)
    scores = np.round(random.beta(1.5, 4, rows), digits)
    return (random.random(rows) < scores).astype(np.int64), scores.astype(np.float32)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60))
@settings(max_examples=200, deadline=None)
def test_ranking_metrics_equal_scikit_learn_with_any_ties(rows: list[tuple[bool, int]]) -> None:
    labels, scores = np.array([row[0] for row in rows], np.int64), np.array([row[1] / 8 for row in rows])
    if not metrics.both_classes(labels):
        with pytest.raises(InputError, match="only one label value"):
            metrics.roc_auc(labels, scores)
        return
    assert metrics.roc_auc(labels, scores) == pytest.approx(reference.roc_auc_score(labels, scores))
    assert metrics.average_precision(labels, scores) == pytest.approx(reference.average_precision_score(labels, scores))


def test_brier_and_f1_equal_scikit_learn() -> None:
    labels, scores = example(3000)
    assert metrics.brier(labels, scores) == pytest.approx(reference.brier_score_loss(labels, scores))
    assert metrics.f1_at(labels, scores, 0.3) == pytest.approx(reference.f1_score(labels, scores >= np.float32(0.3)))
    assert metrics.f1_at(labels, scores, 2.0) == 0.0


def test_calibration_error_by_hand() -> None:
    labels, scores = np.array([0, 1, 1, 1]), np.array([0.1, 0.1, 0.9, 0.9])
    assert metrics.calibration_error(labels, scores, bins=10) == pytest.approx((2 * 0.4 + 2 * 0.1) / 4)
    assert metrics.calibration_error(np.array([0, 1]), np.array([0.0, 1.0])) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_best_threshold_beats_every_other(seed: int) -> None:
    labels, scores = example(400, seed)
    best = metrics.f1_at(labels, scores, metrics.best_f1_threshold(labels, scores))
    assert best == pytest.approx(max(metrics.f1_at(labels, scores, candidate) for candidate in np.unique(scores)))


def test_threshold_keeps_away_from_the_scores() -> None:
    threshold = metrics.best_f1_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]))
    assert threshold == pytest.approx(0.5)


def test_evaluate_is_the_single_functions() -> None:
    labels, scores = example(2000)
    found = metrics.evaluate(labels, scores, threshold=0.25)
    assert found == pytest.approx(
        {
            "roc_auc": metrics.roc_auc(labels, scores),
            "average_precision": metrics.average_precision(labels, scores),
            "brier": metrics.brier(labels, scores),
            "calibration_error": metrics.calibration_error(labels, scores),
            "f1": metrics.f1_at(labels, scores, 0.25),
        }
    )


def test_weighted_samples_equal_copied_rows() -> None:
    labels, scores = example(500)
    drawn = metrics.resample(labels, scores, threshold=0.3, samples=20, seed=4)
    random = np.random.default_rng(4)
    for sample in range(20):
        rows = random.integers(0, 500, 500, dtype=np.int32)
        copied = metrics.evaluate(labels[rows], scores[rows], threshold=0.3)
        assert {name: drawn[name][sample] for name in metrics.METRICS} == pytest.approx(copied)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    everything = example(200_000, seed=9)
    truth = metrics.evaluate(*everything, threshold=0.3)
    covered = dict.fromkeys(("roc_auc", "average_precision", "brier", "f1"), 0)
    for start in range(0, 80_000, 800):
        found = metrics.bootstrap(*(column[start : start + 800] for column in everything), threshold=0.3, samples=100)
        for name in covered:
            covered[name] += found[name].low <= truth[name] <= found[name].high
    assert all(87 <= count <= 100 for count in covered.values()), covered


def test_interval_of_a_calibrated_model_contains_its_value() -> None:
    found = metrics.bootstrap(*example(5000, digits=6), threshold=0.3)
    assert all(one.low <= one.value <= one.high for one in found.values())


def test_two_hundred_samples_of_28_000_rows_take_less_than_a_second() -> None:
    labels, scores = example(28_000, digits=7)
    started = time.process_time()
    metrics.bootstrap(labels, scores, threshold=0.3)
    assert time.process_time() - started < 1.0


def test_what_is_not_a_score_or_label_is_refused() -> None:
    with pytest.raises(RunError, match="1 of 2 rows"):
        metrics.brier(np.array([0, 1]), np.array([0.5, np.nan]))
    with pytest.raises(InputError, match="labels 0 or 1"):
        metrics.brier(np.array([0, 2]), np.array([0.5, 0.5]))
    with pytest.raises(InputError, match="at least one row"):
        metrics.best_f1_threshold(np.array([]), np.array([]))
