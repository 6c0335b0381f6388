"""Model pieces for tables: fitted from a dataset's manifest, exported whole, so that serving sends raw feature values.

A module's buffers hold everything fitted (statistics of the train part alone). All take ``categorical`` int [n, C]
(0 = unknown or null) and ``numeric`` float32 [n, N] (raw values, NaN = null).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from jobs.contracts.dataset import Column, Manifest, Statistics, is_text
from jobs.contracts.errors import InputError, RequestError

LOW, MIDDLE, HIGH = "0.01", "0.5", "0.99"  # quantiles that clip and impute


class Standardise(nn.Module):
    """Impute, clip and scale numbers, and tell which were null: [n, N] to [n, N + K], K = columns with nulls in train.

    A null becomes the train part's median; values beyond the 1 % and 99 % quantiles are clipped, so that one absurd
    reading cannot decide; then mean 0 and deviation 1 (of the unclipped train part).
    """

    def __init__(self, statistics: Sequence[Statistics]) -> None:
        super().__init__()
        self.low, self.high, self.fill, self.mean, self.scale = (_constant([fact[i] for fact in map(_scaling, statistics)]) for i in range(5))
        self.register_buffer("nullable", torch.tensor([i for i, fact in enumerate(statistics) if fact.nulls], dtype=torch.int64))
        self.width = len(statistics) + len(self.nullable)

    def forward(self, numeric: Tensor) -> Tensor:
        null = torch.isnan(numeric)
        filled = torch.where(null, self.fill, numeric)
        scaled = (torch.minimum(torch.maximum(filled, self.low), self.high) - self.mean) / self.scale
        return torch.cat([scaled, null[:, self.nullable].to(scaled.dtype)], dim=1)


class Embeddings(nn.Module):
    """All categories in one table, so that a batch needs one look-up: int [n, C] to float32 [n, C * width]."""

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        counts = torch.tensor([size + 1 for size in sizes], dtype=torch.int64)  # + 1: index 0 is "unknown or null"
        self.register_buffer("first", torch.cumsum(counts, 0) - counts)
        self.table = nn.Embedding(int(counts.sum()), width)
        nn.init.normal_(self.table.weight, std=0.05)  # small: a value seen too seldom to learn stays near "no effect"
        self.width = len(sizes) * width

    def forward(self, categorical: Tensor) -> Tensor:
        return self.table(categorical + self.first).flatten(1)


class EmbeddingMLP(nn.Module):
    """Embeddings and standardised numbers through fully connected layers to logits [n]."""

    def __init__(
        self, sizes: Sequence[int], statistics: Sequence[Statistics], *, embedding: int = 8, hidden: Sequence[int] = (128, 64), dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.standardise, self.embeddings = Standardise(statistics), Embeddings(sizes, embedding)
        layers: list[nn.Module] = []
        width = self.standardise.width + self.embeddings.width
        for size in hidden:
            layers += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(dropout)] if dropout else [nn.Linear(width, size), nn.ReLU()]
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        return self.layers(torch.cat([self.embeddings(categorical), self.standardise(numeric)], dim=1)).squeeze(1)


class Logistic(nn.Module):
    """Logistic regression: one learned number per category value and per standardised number; logits [n]."""

    def __init__(self, sizes: Sequence[int], statistics: Sequence[Statistics]) -> None:
        super().__init__()
        self.standardise, self.embeddings = Standardise(statistics), Embeddings(sizes, 1)
        self.weights = nn.Linear(self.standardise.width, 1)

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        return self.embeddings(categorical).sum(dim=1) + self.weights(self.standardise(numeric)).squeeze(1)


def columns(manifest: Manifest) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """The features as (text columns, number columns).

    Errors: InputError for a feature whose statistics are missing.
    """
    for column in manifest.features:
        if column.statistics is None:
            raise InputError(f"the feature {column.name!r} has no statistics in the manifest", where=manifest.name, hint="run the ETL again")
    return tuple(c for c in manifest.features if is_text(c)), tuple(c for c in manifest.features if not is_text(c))


def statistics_of(chosen: Sequence[Column]) -> list[Statistics]:
    return [column.statistics for column in chosen if column.statistics is not None]


def vocabularies(texts: Sequence[Column], *, at_least: int = 20) -> dict[str, list[str]]:
    """Values of each text column that occur ``at_least`` times in train, in order of value; rarer ones count as unknown."""
    return {
        column.name: sorted(value for value, rows in facts.categories.items() if rows >= at_least)
        for column, facts in zip(texts, statistics_of(texts), strict=True)
    }


def options(defaults: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """A workload's parameters over their defaults.

    Errors: RequestError that names an unknown parameter, or one of another type than its default.
    """
    for name, value in params.items():
        if name not in defaults:
            raise RequestError(f"unknown parameter {name!r}", where="params", hint=f"this model knows {', '.join(sorted(defaults))}")
        if not isinstance(value, (int, float) if isinstance(defaults[name], float) else type(defaults[name])) or isinstance(value, bool):
            raise RequestError(f"{value!r} is no value for {name!r}", where="params", hint=f"its default is {defaults[name]!r}")
    return {**defaults, **params}


def _scaling(fact: Statistics) -> tuple[float, float, float, float, float]:
    """(low, high, fill, mean, scale) of a column; one without any value in train scales to 0."""
    if not fact.quantiles or fact.mean is None:
        return 0.0, 0.0, 0.0, 0.0, 1.0
    low, high = fact.quantiles[LOW], fact.quantiles[HIGH]
    if low == high:  # nearly constant: clipping would erase the rare value that carries the news
        low, high = fact.min or 0.0, fact.max or 0.0
    return low, high, fact.quantiles[MIDDLE], fact.mean, fact.std or 1.0


def _constant(values: Sequence[float]) -> nn.Buffer:
    return nn.Buffer(torch.tensor(values, dtype=torch.float32))
