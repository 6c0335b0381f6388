"""Handwritten digits: the published table, the augmentation, and how good the network is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from digits.model import Augment, Convolutions
from jobs.contracts import dataset as datasets
from tests.examples.workload_steps import Workload, metric


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workload, dict[str, object]]:
    """With a quarter of the epochs."""
    workload = Workload("digits/pipeline.yaml", tmp_path_factory.mktemp("digits"))
    return workload, workload.whole("pkg:sklearn/datasets/data", max_epochs=8)


def test_every_image_is_in_one_part(numbers: tuple[Workload, dict[str, object]]) -> None:
    manifest = datasets.load_manifest(numbers[0].place("features", "dataset"))
    assert sum(manifest.split.rows.values()) == 1797
    assert list(manifest.label.statistics.categories) != []  # type: ignore[union-attr]
    assert sorted(manifest.label.statistics.categories) == list("0123456789")  # type: ignore[union-attr]


def test_a_few_epochs_beat_the_linear_model(numbers: tuple[Workload, dict[str, object]]) -> None:
    found = numbers[1]
    assert metric(found, "accuracy") > max(0.95, metric(found, "accuracy", "baseline"))


def test_images_change_while_training_and_only_then() -> None:
    images = torch.rand(6, 1, 8, 8)
    augment = Augment(0.2, 0.2, 0.1)
    assert not torch.equal(augment.train()(images), images)
    assert torch.equal(augment.eval()(images), images)
    still = Augment(0.0, 0.0, 0.0).train()(images)
    torch.testing.assert_close(still, images, atol=1e-5, rtol=1e-5)


def test_an_unknown_pixel_is_dark() -> None:
    network = Convolutions(8, 0.0, Augment(0.1, 0.1, 0.1)).eval()
    none, dark = torch.full((1, 64), torch.nan), torch.zeros(1, 64)
    torch.testing.assert_close(network(torch.zeros(1, 0), none), network(torch.zeros(1, 0), dark))


@pytest.mark.full
def test_the_whole_training_names_98_of_100_digits(tmp_path: Path) -> None:
    assert metric(Workload("digits/pipeline.yaml", tmp_path).whole("pkg:sklearn/datasets/data"), "accuracy") >= 0.98
