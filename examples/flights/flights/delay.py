"""By how many minutes will this flight be late on arrival? The same features as the yes-or-no question, another label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.contracts.dataset import Manifest, Role
from jobs.contracts.workload import Features, Model, Output
from jobs.steps import tabular

from . import features

MOST = 180.0  # minutes; a later flight counts as so late: what stranded it for half a day is in no feature
EARLIEST = -60.0
NETWORK = {"hidden": 128, "embedding": 8, "dropout": 0.1, "learning_rate": 8e-3, "weight_decay": 0.02}
BASELINE = {"learning_rate": 2e-2, "weight_decay": 0.0}
DELAY = Output("arrival_delay", Role.LABEL, "min", "minutes late on arrival, between -60 and 180; negative = early")


def build(params: Mapping[str, Any]) -> Features:
    base = features.build(params)
    return replace(base, outputs=(*(output for output in base.outputs if output.role != Role.LABEL), DELAY), transform=_transform)


def _transform(tables: Mapping[str, DataFrame], params: Mapping[str, Any]) -> DataFrame:
    rows = features.transform(tables, params)
    bounded = F.greatest(F.lit(EARLIEST), F.least(F.lit(MOST), F.col("arr_delay")))
    flown = tables["flights"].select(features.flight_id().alias("flight_id"), F.when(F.col("arr_delay").isNotNull(), bounded).alias(DELAY.name))
    return rows.drop("late").join(flown, "flight_id")


def network(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    """The network of the yes-or-no question; its one number is the mean delay that it expects."""
    chosen = tabular.options(NETWORK, params)
    texts, numbers = tabular.columns(manifest)
    vocabularies = tabular.vocabularies(texts)
    sizes = [len(values) for values in vocabularies.values()]
    module = tabular.EmbeddingMLP(
        sizes,
        tabular.statistics_of(numbers),
        embedding=chosen["embedding"],
        hidden=[chosen["hidden"], chosen["hidden"] // 2],
        dropout=chosen["dropout"],
    )
    return _model("flight-delay", manifest, module, vocabularies, chosen, epochs=4)


def linear(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    """Linear regression on the same columns."""
    chosen = tabular.options(BASELINE, params)
    texts, numbers = tabular.columns(manifest)
    vocabularies = tabular.vocabularies(texts)
    module = tabular.Logistic([len(values) for values in vocabularies.values()], tabular.statistics_of(numbers))
    return _model("flight-delay-baseline", manifest, module, vocabularies, chosen, epochs=2)


def _model(name: str, manifest: Manifest, module: Any, vocabularies: dict[str, list[str]], chosen: dict[str, Any], *, epochs: int) -> Model:
    return Model(
        name=name,
        module=tabular.InUnits(module, manifest.label),
        categorical=tuple(vocabularies),
        numeric=tuple(column.name for column in tabular.columns(manifest)[1]),
        vocabularies=vocabularies,
        learning_rate=chosen["learning_rate"],
        weight_decay=chosen["weight_decay"],
        max_epochs=epochs,
        patience=2,
        task="regression",
    )
