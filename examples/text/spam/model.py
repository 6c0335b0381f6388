"""A transformer that reads the first words of a message, and the bag of words that it must beat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from jobs.contracts.dataset import Manifest
from jobs.contracts.workload import Model, Text
from jobs.scoring.words import FIRST, PADDING, UNKNOWN
from jobs.steps import tabular

NETWORK = {"width": 32, "layers": 1, "heads": 4, "dropout": 0.3, "forget": 0.2, "reads": 64, "length": 256, "learning_rate": 2e-3, "max_epochs": 6}
BASELINE = {"length": 256, "learning_rate": 1e-2}
STEP = 0.5  # learning rate times scale of a word's vote: the mean of many votes moves slowly, so each must move fast
AT_LEAST, MOST = 4, 8_000  # messages that a word must occur in; words that are kept


class BagOfWords(nn.Module):
    """Logistic regression: one learned number per word, of which a message has the mean, scaled; logits [n]."""

    def __init__(self, vocabulary: int, scale: float) -> None:
        super().__init__()
        self.weights, self.scale, self.bias = nn.Embedding(vocabulary + FIRST, 1), scale, nn.Parameter(torch.zeros(()))
        nn.init.zeros_(self.weights.weight)

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        there = (categorical != PADDING).to(torch.float32)
        found = (self.weights(categorical).squeeze(2) * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
        return self.scale * found + self.bias


class Attention(nn.Module):
    """Every word looks at every word: [n, L, width] to the same; ``hidden`` [n, 1, 1, L] is true behind the end of a text."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.project, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, words: Tensor, hidden: Tensor) -> Tensor:
        n, length, width = words.shape
        query, key, value = self.project(words).view(n, length, 3, self.heads, self.size).permute(2, 0, 3, 1, 4).unbind(0)
        seen = scaled_dot_product_attention(query, key, value, attn_mask=~hidden)
        return self.out(seen.transpose(1, 2).reshape(n, length, width))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.before, self.between, self.dropout = Attention(width, heads), nn.LayerNorm(width), nn.LayerNorm(width), nn.Dropout(dropout)
        self.think = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, words: Tensor, hidden: Tensor) -> Tensor:
        words = words + self.dropout(self.attention(self.before(words), hidden))
        return words + self.dropout(self.think(self.between(words)))


class Transformer(nn.Module):
    """Words [n, L] to logits [n]: the first ``reads`` of them embedded with their places, through the blocks, then mean and strongest.

    Beside it every word has a vote of its own, so that the blocks need only learn what a bag of words cannot say.
    """

    def __init__(self, vocabulary: int, reads: int, *, width: int, layers: int, heads: int, dropout: float, forget: float, votes: BagOfWords) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary + FIRST, width), nn.Parameter(torch.zeros(reads, width))
        nn.init.normal_(self.words.weight, std=0.1)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.last, self.dropout, self.forget = nn.LayerNorm(width), nn.Dropout(dropout), forget
        self.answer, self.votes = nn.Linear(2 * width, 1), votes
        nn.init.zeros_(self.answer.weight)  # it starts as the bag of words

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        said = self.votes(categorical, numeric)
        categorical = categorical[:, : len(self.places)]
        behind = categorical == PADDING
        if self.training:  # a message must not be judged by one word alone
            forgotten = (torch.rand(categorical.shape, device=categorical.device) < self.forget) & ~behind
            categorical = categorical.masked_fill(forgotten, UNKNOWN)
        words = self.dropout(self.words(categorical) + self.places)
        for block in self.blocks:
            words = block(words, behind[:, None, None, :])
        words, there = self.last(words), (~behind).unsqueeze(2).to(words.dtype)
        mean = (words * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
        strongest = words.masked_fill(behind.unsqueeze(2), -1e4).amax(dim=1)
        return self.answer(self.dropout(torch.cat([mean, strongest], dim=1))).squeeze(1) + said


def build(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    chosen = tabular.options(NETWORK, params)
    text = _text(manifest, chosen["length"])
    sizes = {name: chosen[name] for name in ("width", "layers", "heads", "dropout", "forget")}
    votes = BagOfWords(len(text.tokens), STEP / chosen["learning_rate"])
    module = Transformer(len(text.tokens), min(chosen["reads"], text.length), votes=votes, **sizes)
    return _model("spam", text, module, chosen["learning_rate"], chosen["max_epochs"])


def baseline(manifest: Manifest, params: Mapping[str, Any]) -> Model:
    chosen = tabular.options(BASELINE, params)
    text = _text(manifest, chosen["length"])
    return _model("spam-baseline", text, BagOfWords(len(text.tokens), STEP / chosen["learning_rate"]), chosen["learning_rate"], 8)


def _text(manifest: Manifest, length: int) -> Text:
    """The most frequent words of the train part, which the manifest has counted."""
    (column,) = (one for one in manifest.features if one.name == "text")
    counts = column.statistics.categories if column.statistics else {}
    return Text(length, [word for word, rows in counts.items() if rows >= AT_LEAST][:MOST])


def _model(name: str, text: Text, module: nn.Module, learning_rate: float, epochs: int) -> Model:
    return Model(
        name=name,
        module=module,
        categorical=(),
        numeric=(),
        vocabularies={},
        texts={"text": text},
        learning_rate=learning_rate,
        weight_decay=0.05,
        max_epochs=epochs,
        patience=epochs,
    )
