"""Batches of answers as the looking thread hands them to its watchers."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest

from jobs.contracts.bundle import InputField
from serve.model import LoadedModel
from serve.rollout.answered import Batch
from tests.factories import make_rows
from tests.serve.conftest import Published

FEATURES = ("color", "size", "weight")


@pytest.fixture(scope="session")
def model(published: Published) -> LoadedModel:
    return LoadedModel(published.version(1))


def batch(model: LoadedModel, rows: int, *, seed: int = 0, shift: float = 0.0, first: int = 0) -> Batch:
    """Single-row requests ``r<n>`` of the parcel workload; ``shift`` is added to the size."""
    table = make_rows(rows, seed)
    columns = {name: table[name].combine_chunks() for name in FEATURES}
    columns["size"] = pc.add(columns["size"], shift)
    ids = [f"r{number}" for number in range(first, first + rows)]
    none = np.zeros(rows)
    return Batch(model, none, none > 0, ids, none.astype(np.int32), columns, model.scorer.score(columns, rows))


def with_private(model: LoadedModel, name: str) -> LoadedModel:
    """The same model, of which one input is private."""
    inputs = tuple(InputField(**field.model_dump() | {"private": field.name == name}) for field in model.bundle.inputs)
    changed = object.__new__(LoadedModel)
    changed.__dict__ |= model.__dict__ | {"bundle": model.bundle.model_copy(update={"inputs": inputs})}
    return changed
