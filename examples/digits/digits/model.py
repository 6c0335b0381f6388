"""A convolutional network that sees every image a little differently in every epoch, and the linear model that it must beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from jobs.contracts.dataset import Manifest
from jobs.contracts.workload import Model
from jobs.steps import tabular

from .features import PIXELS

SIDE, BRIGHTEST = 8, 16.0
NETWORK = {"channels": 16, "dropout": 0.2, "learning_rate": 1e-2, "max_epochs": 30, "shift": 0.15, "turn": 0.2, "stretch": 0.12}
BASELINE = {"learning_rate": 3e-2}


class Augment(nn.Module):
    """Images [n, 1, 8, 8], each moved, turned and stretched at random while training; as they are otherwise.

    ``shift`` is a share of half the side, ``turn`` in radians, ``stretch`` a share of the size: the most of each.
    """

    def __init__(self, shift: float, turn: float, stretch: float) -> None:
        super().__init__()
        self.shift, self.turn, self.stretch = shift, turn, stretch

    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            return images
        n = len(images)
        angle, size, move = self.turn * _random(n), 1 + self.stretch * _random(n), self.shift * _random(n, 2)
        cosine, sine = size * torch.cos(angle), size * torch.sin(angle)
        rows = torch.stack([cosine, -sine, move[:, 0], sine, cosine, move[:, 1]], dim=1)
        return grid_sample(images, affine_grid(rows.view(n, 2, 3).to(images), list(images.shape), align_corners=False), align_corners=False)


class Convolutions(nn.Module):
    """Two blocks of convolutions, each halving the image, and one layer to logits [n, 10]."""

    def __init__(self, channels: int, dropout: float, augment: Augment) -> None:
        super().__init__()
        self.augment = augment
        self.layers = nn.Sequential(
            *_block(1, channels), *_block(channels, channels), nn.MaxPool2d(2),
            *_block(channels, 2 * channels), *_block(2 * channels, 2 * channels), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(dropout), nn.Linear(2 * channels * (SIDE // 4) ** 2, 10),
        )  # fmt: skip

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        images = torch.nan_to_num(numeric).view(-1, 1, SIDE, SIDE) / BRIGHTEST
        return self.layers(self.augment(images))


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(SIDE * SIDE, 10)

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        return self.layer(torch.nan_to_num(numeric) / BRIGHTEST)


def build(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    chosen = tabular.options(NETWORK, params)
    augment = Augment(chosen["shift"], chosen["turn"], chosen["stretch"])
    return _model("digits", manifest, Convolutions(chosen["channels"], chosen["dropout"], augment), chosen["learning_rate"], chosen["max_epochs"])


def baseline(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    """Softmax regression on the pixels."""
    return _model("digits-baseline", manifest, Linear(), tabular.options(BASELINE, params)["learning_rate"], 20)


def _model(name: str, manifest: Manifest, module: nn.Module, learning_rate: float, epochs: int) -> Model:
    return Model(
        name=name,
        module=module,
        categorical=(),
        numeric=PIXELS,
        vocabularies={},
        learning_rate=learning_rate,
        weight_decay=0.01,
        max_epochs=epochs,
        patience=epochs,
        task="multiclass",
        classes=tabular.classes(manifest),
    )


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(4, outputs), nn.ReLU()]


def _random(*shape: int) -> Tensor:
    """Evenly between -1 and 1."""
    return 2 * torch.rand(*shape) - 1
