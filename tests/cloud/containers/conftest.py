"""Hosts and an object store for the containers' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.practice.hosts import Executor
from jobs.contracts import storage
from tests import factories, object_store


@pytest.fixture(scope="session")
def executor() -> Iterator[Executor]:
    made = Executor()
    yield made
    made.close()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    factories.make_dataset(folder, rows=3000)
    return folder


@pytest.fixture(scope="module")
def bundle(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    factories.make_bundle(folder, dataset)
    return folder


@pytest.fixture(scope="module")
def bucket(dataset: Path) -> Iterator[str]:
    """A bucket with the dataset below ``data/``."""
    with object_store.bucket() as uri:
        storage.copy_folder(str(dataset), f"{uri}/data", last="manifest.json")
        yield uri
