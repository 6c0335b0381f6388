"""Two models of the question: a network with embeddings, and the logistic regression that it must beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.contracts.dataset import Manifest
from jobs.contracts.workload import Model
from jobs.steps import tabular

NETWORK = {"hidden": 128, "embedding": 8, "dropout": 0.1, "learning_rate": 8e-3, "weight_decay": 0.02}
BASELINE = {"learning_rate": 2e-2, "weight_decay": 0.0}


def build(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    """Embeddings of the texts beside the encoded numbers, through layers of ``hidden`` and half as many units."""
    chosen = tabular.options(NETWORK, params)
    texts, numbers = tabular.columns(manifest)
    vocabularies = tabular.vocabularies(texts)
    return Model(
        name="flights",
        module=tabular.EmbeddingMLP(
            [len(values) for values in vocabularies.values()],
            tabular.statistics_of(numbers),
            embedding=chosen["embedding"],
            hidden=[chosen["hidden"], chosen["hidden"] // 2],
            dropout=chosen["dropout"],
        ),
        categorical=tuple(vocabularies),
        numeric=tuple(column.name for column in numbers),
        vocabularies=vocabularies,
        learning_rate=chosen["learning_rate"],
        weight_decay=chosen["weight_decay"],
        max_epochs=4,
        patience=2,
    )


def baseline(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    """Logistic regression on the same columns, under the same contract."""
    chosen = tabular.options(BASELINE, params)
    texts, numbers = tabular.columns(manifest)
    vocabularies = tabular.vocabularies(texts)
    return Model(
        name="flights-baseline",
        module=tabular.Logistic([len(values) for values in vocabularies.values()], tabular.statistics_of(numbers)),
        categorical=tuple(vocabularies),
        numeric=tuple(column.name for column in numbers),
        vocabularies=vocabularies,
        learning_rate=chosen["learning_rate"],
        weight_decay=chosen["weight_decay"],
        max_epochs=2,
        patience=2,
    )
