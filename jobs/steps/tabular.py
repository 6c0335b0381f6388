"""Model pieces for tables: fitted from a dataset's manifest, exported whole, so that serving sends raw feature values.

A module's buffers hold everything fitted (statistics of the train part alone). All take ``categorical`` int [n, C]
(0 = unknown or null) and ``numeric`` float32 [n, N] (raw values, NaN = null).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
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
        self.nullable = _indexes([i for i, fact in enumerate(statistics) if fact.nulls])
        self.width = len(statistics) + len(self.nullable)

    def forward(self, numeric: Tensor) -> Tensor:
        null = torch.isnan(numeric)
        filled = torch.where(null, self.fill, numeric)
        scaled = (torch.minimum(torch.maximum(filled, self.low), self.high) - self.mean) / self.scale
        return torch.cat([scaled, null[:, self.nullable].to(scaled.dtype)], dim=1)


class PiecewiseLinear(nn.Module):
    """How far each number is through each interval between neighbouring quantiles of train: [n, N] to [n, intervals], 0 to 1.

    A straight line per interval lets a small network bend where the data are, as trees do (Gorishniy et al. 2022,
    arXiv:2203.05556). A null becomes the median.
    """

    def __init__(self, statistics: Sequence[Statistics]) -> None:
        super().__init__()
        levels = [sorted(set(fact.quantiles.values())) for fact in statistics]
        intervals = [(column, low, high) for column, values in enumerate(levels) for low, high in pairwise(values)]
        self.column = _indexes([column for column, _, _ in intervals])
        self.start, self.slope = _constant([low for _, low, _ in intervals]), _constant([1 / (high - low) for _, low, high in intervals])
        self.fill = _constant([fact.quantiles.get(MIDDLE, 0.0) for fact in statistics])
        self.width = len(intervals)

    def forward(self, numeric: Tensor) -> Tensor:
        filled = torch.where(torch.isnan(numeric), self.fill, numeric)
        return ((filled.index_select(1, self.column) - self.start) * self.slope).clamp(0, 1)


class Embeddings(nn.Module):
    """All categories in one table, so that a batch needs one look-up: int [n, C] to float32 [n, C * width]."""

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        counts = [size + 1 for size in sizes]  # + 1: index 0 is "unknown or null"
        self.first = _indexes([sum(counts[:column]) for column in range(len(counts))])
        self.table = nn.Embedding(sum(counts), width)
        nn.init.normal_(self.table.weight, std=0.05)  # small: a value seen too seldom to learn stays near "no effect"
        self.width = len(sizes) * width

    def forward(self, categorical: Tensor) -> Tensor:
        return self.table(categorical + self.first).flatten(1)


class EmbeddingMLP(nn.Module):
    """Embeddings of the texts and encoded numbers through fully connected layers to logits [n], or [n, outputs] of several classes."""

    def __init__(
        self,
        sizes: Sequence[int],
        statistics: Sequence[Statistics],
        *,
        embedding: int = 8,
        hidden: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.standardise, self.piecewise, self.embeddings = Standardise(statistics), PiecewiseLinear(statistics), Embeddings(sizes, embedding)
        # Two halves of one layer: the numbers' half needs no gradient of its inputs, a third of its work.
        self.numbers = nn.Linear(self.standardise.width + self.piecewise.width, hidden[0])
        self.texts = nn.Linear(self.embeddings.width, hidden[0], bias=False)
        layers: list[nn.Module] = [nn.ReLU()]
        for width, following in pairwise([*hidden, outputs]):
            layers += [nn.Dropout(dropout), nn.Linear(width, following), nn.ReLU()]
        self.layers, self.outputs = nn.Sequential(*layers[:-1]), outputs  # the last numbers are logits

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        numbers = torch.cat([self.standardise(numeric), self.piecewise(numeric)], dim=1)
        logits: Tensor = self.layers(self.numbers(numbers) + self.texts(self.embeddings(categorical)))
        return logits.squeeze(1) if self.outputs == 1 else logits


class Logistic(nn.Module):
    """Logistic (or linear) regression: one learned number per category value and per standardised number; logits [n], or [n, outputs]."""

    def __init__(self, sizes: Sequence[int], statistics: Sequence[Statistics], *, outputs: int = 1) -> None:
        super().__init__()
        self.standardise, self.embeddings, self.outputs = Standardise(statistics), Embeddings(sizes, outputs), outputs
        self.weights = nn.Linear(self.standardise.width, outputs)

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        votes, sums = self.embeddings(categorical), self.weights(self.standardise(numeric))
        if self.outputs == 1:
            return votes.sum(dim=1) + sums.squeeze(1)
        return votes.view(len(votes), -1, self.outputs).sum(dim=1) + sums


class InUnits(nn.Module):
    """A module's small numbers [n] as predictions in the label's unit: its deviations around the train part's mean."""

    def __init__(self, module: nn.Module, label: Column) -> None:
        super().__init__()
        facts = label.statistics
        if facts is None or facts.mean is None:
            raise InputError(f"the label {label.name!r} is no number with statistics", where="Model", hint="a regression predicts a number")
        self.module, self.mean, self.scale = module, _constant([facts.mean]), _constant([facts.std or 1.0])

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        return self.mean + self.scale * self.module(categorical, numeric)


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


def classes(manifest: Manifest) -> tuple[str, ...]:
    """The label's values in the train part, in order, as a model of several classes names them.

    Errors: InputError for a label whose values were not counted: write it as text.
    """
    facts = manifest.label.statistics
    if facts is None or not facts.categories:
        hint = "cast it to string in the features' transform"
        raise InputError(f"the label {manifest.label.name!r} is no text, so its values were not counted", where=manifest.name, hint=hint)
    return tuple(sorted(facts.categories))


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


def _indexes(values: Sequence[int]) -> nn.Buffer:
    return nn.Buffer(torch.tensor(values, dtype=torch.int64))
