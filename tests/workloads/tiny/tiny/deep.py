"""A network of equal blocks, as large models are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from jobs.contracts.dataset import Manifest
from jobs.contracts.workload import Model
from jobs.steps import tabular
from tiny import model

WIDTH = 15  # odd, so that it cannot be cut evenly over two workers


class Deep(nn.Module):
    def __init__(self, numbers: int, standardise: nn.Module, dropout: float) -> None:
        super().__init__()
        self.standardise, self.first, self.last = standardise, nn.Linear(numbers, WIDTH), nn.Linear(WIDTH, 1)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Dropout(dropout)) for _ in range(3))

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        found = self.first(self.standardise(numeric))
        for block in self.blocks:
            found = found + block(found)
        return torch.squeeze(self.last(found), 1)


def build(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    _, numbers = tabular.columns(manifest)
    standardise = tabular.Standardise(tabular.statistics_of(numbers))
    return replace(model.build(manifest, params), module=Deep(standardise.width, standardise, params.get("dropout", 0.1)))
