"""A small network, and the logistic regression to beat, on whatever features the dataset has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.contracts.dataset import Manifest
from jobs.contracts.workload import Model
from jobs.steps import tabular

DEFAULTS = {"hidden": 16, "epochs_at_most": 4, "learning_rate": 1e-2, "dropout": 0.1}


def build(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    chosen = tabular.options(DEFAULTS, params)
    texts, numbers = tabular.columns(manifest)
    vocabularies = tabular.vocabularies(texts, at_least=1)
    sizes = [len(values) for values in vocabularies.values()]
    return Model(
        name="tiny",
        module=tabular.EmbeddingMLP(sizes, tabular.statistics_of(numbers), embedding=2, hidden=[chosen["hidden"]], dropout=chosen["dropout"]),
        categorical=tuple(vocabularies),
        numeric=tuple(column.name for column in numbers),
        vocabularies=vocabularies,
        learning_rate=chosen["learning_rate"],
        max_epochs=chosen["epochs_at_most"],
        patience=chosen["epochs_at_most"],
    )


def baseline(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    chosen = tabular.options({"learning_rate": 2e-2}, params)
    texts, numbers = tabular.columns(manifest)
    vocabularies = tabular.vocabularies(texts, at_least=1)
    return Model(
        name="tiny-baseline",
        module=tabular.Logistic([len(values) for values in vocabularies.values()], tabular.statistics_of(numbers)),
        categorical=tuple(vocabularies),
        numeric=tuple(column.name for column in numbers),
        vocabularies=vocabularies,
        learning_rate=chosen["learning_rate"],
        max_epochs=2,
    )
