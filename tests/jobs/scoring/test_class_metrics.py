"""Metrics of several classes and of numbers, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error, r2_score, root_mean_squared_error

from jobs.contracts.errors import InputError, RunError
from jobs.scoring import tasks

CLASSES, NUMBERS = tasks.of("multiclass"), tasks.of("regression")


def of_classes(rows: int = 400) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    random = np.random.default_rng(2)
    labels = random.integers(0, 4, rows)
    logits = random.normal(size=(rows, 4)) + 1.5 * (labels[:, None] == np.arange(4))
    exp = np.exp(logits)
    return labels.astype(np.float64), exp / exp.sum(axis=1, keepdims=True)


def of_numbers(rows: int = 400) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    random = np.random.default_rng(3)
    labels = random.normal(1000, 5, rows)
    return labels, labels + random.normal(1, 2, rows)


def test_classes_are_measured_as_scikit_learn_does() -> None:
    labels, scores = of_classes()
    found = CLASSES.evaluate(labels, scores, threshold=0.0)
    said = scores.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, said))
    assert found["macro_f1"] == pytest.approx(f1_score(labels, said, average="macro"))
    assert found["log_loss"] == pytest.approx(log_loss(labels, scores))
    bins = np.minimum((scores.max(axis=1) * 15).astype(int), 14)
    gaps = [abs(((said == labels)[bins == each] - scores.max(axis=1)[bins == each]).sum()) for each in range(15)]
    assert found["calibration_error"] == pytest.approx(sum(gaps) / len(labels))


def test_a_class_that_no_row_has_does_not_count() -> None:
    labels, scores = of_classes()
    rows = labels != 3
    said = scores[rows].argmax(axis=1)
    expected = f1_score(labels[rows], said, average="macro", labels=[0, 1, 2])
    assert CLASSES.evaluate(labels[rows], scores[rows], threshold=0.0)["macro_f1"] == pytest.approx(expected)


def test_numbers_are_measured_as_scikit_learn_does() -> None:
    labels, scores = of_numbers()
    expected = {"rmse": root_mean_squared_error(labels, scores), "mae": mean_absolute_error(labels, scores), "r2": r2_score(labels, scores)}
    assert NUMBERS.evaluate(labels, scores, threshold=0.0) == pytest.approx(expected)


@pytest.mark.parametrize(("task", "rows"), [(CLASSES, of_classes()), (NUMBERS, of_numbers())])
def test_weighted_samples_equal_copied_rows(task: tasks.Task, rows: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    labels, scores = rows
    drawn = task.resample(labels, scores, threshold=0.0, samples=100, seed=4)
    block = np.random.default_rng(4).integers(0, len(labels), ((1 << 15) // len(labels), len(labels)), dtype=np.int32)
    for sample in range(3):
        copied = task.evaluate(labels[block[sample]], scores[block[sample]], threshold=0.0)
        assert {name: drawn[name][sample] for name in task.titles} == pytest.approx(copied)
    found = task.bootstrap(labels, scores, threshold=0.0, samples=100)
    assert all(one.low < one.value < one.high for name, one in found.items() if name != "calibration_error")


def test_what_cannot_be_measured_is_refused() -> None:
    labels, scores = of_classes(20)
    with pytest.raises(InputError, match="class numbers"):
        CLASSES.evaluate(np.full(20, 4.0), scores, threshold=0.0)
    with pytest.raises(RunError, match="1 of 20 rows"):
        CLASSES.evaluate(labels, np.where(np.arange(20)[:, None] == 3, np.nan, scores), threshold=0.0)
    with pytest.raises(InputError, match="labels that are numbers"):
        NUMBERS.evaluate(np.array([np.nan]), np.array([1.0]), threshold=0.0)


def test_labels_become_the_numbers_of_their_classes() -> None:
    assert tasks.labels_of(pa.array(["b", "a"]), ("a", "b")).tolist() == [1.0, 0.0]
    assert tasks.labels_of(pa.chunked_array([[3], [1]]), ("1", "3")).tolist() == [1.0, 0.0]
    with pytest.raises(InputError, match="'c' is none of the model's classes"):
        tasks.labels_of(pa.array(["a", "c"]), ("a", "b"))
