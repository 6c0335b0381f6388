"""A small network for whatever the label is, and a model of the notes alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from jobs.contracts.dataset import Manifest
from jobs.contracts.workload import Model, Text
from jobs.scoring.words import FIRST, PADDING
from jobs.steps import tabular

COLUMNS = ("size", "weight")


def classes(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    found = tabular.classes(manifest)
    return _model(manifest, _network(manifest, len(found)), params, task="multiclass", classes=found)


def number(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    return _model(manifest, tabular.InUnits(_network(manifest, 1), manifest.label), params, task="regression")


def forecast(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    return _model(manifest, tabular.InUnits(_network(manifest, 1), manifest.label), params, task="forecast", loss="absolute")


def unnamed(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    return _model(manifest, _network(manifest, 3), params, task="multiclass")


class Notes(nn.Module):
    """The mean of one learned number per word, and the weight."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.words, self.scale = nn.Embedding(tokens + FIRST, 1), nn.Linear(1, 1)

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        there = (categorical != PADDING).to(torch.float32)
        votes = (self.words(categorical).squeeze(2) * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
        return 5 * votes + self.scale(torch.nan_to_num(numeric) / 10).squeeze(1)


def notes(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    (column,) = (one for one in manifest.features if one.text)
    assert column.statistics is not None
    text = Text(6, list(column.statistics.categories))
    return Model("parcels", Notes(len(text.tokens)), (), ("weight",), {}, learning_rate=5e-2, max_epochs=6, texts={column.name: text})


def _network(manifest: Manifest, outputs: int) -> nn.Module:
    numbers = [column for column in manifest.features if column.name in COLUMNS]
    colors = [column for column in manifest.features if column.name == "color"]
    sizes = [len(values) for values in tabular.vocabularies(colors, at_least=1).values()]
    return tabular.EmbeddingMLP(sizes, tabular.statistics_of(numbers), embedding=2, hidden=[16], outputs=outputs)


def _model(manifest: Manifest, module: nn.Module, params: Mapping[str, Any], **others: Any) -> Model:
    vocabularies = tabular.vocabularies([column for column in manifest.features if column.name == "color"], at_least=1)
    return Model("parcels", module, tuple(vocabularies), COLUMNS, vocabularies, learning_rate=2e-2, max_epochs=5, **others)
