"""What training makes small, and what it tells about the validation part after each epoch, by task type.

A quality is computed from a tally of fixed size, so that workers exchange one small tensor whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss, mse_loss

from jobs.contracts.workload import Model

Reduction = Literal["mean", "sum"]
_BINS = 4096  # of the histogram that approximates ROC AUC across workers, to about 1e-4


@dataclass(frozen=True)
class Objective:
    """``loss(outputs, labels, reduction)``; ``tally(outputs, labels)`` float64 [size], which workers add up; ``quality`` of the sum."""

    loss: Callable[[Tensor, Tensor, Reduction], Tensor]
    size: int
    tally: Callable[[Tensor, Tensor], Tensor]
    quality: Callable[[Tensor], float]
    metric: str  # its name in metrics.jsonl, after "validation_"
    title: str


def objective_of(model: Model) -> Objective:
    if model.task == "binary":
        return Objective(_binary_loss, 2 * _BINS, _scores_by_label, _auc, "auc", "ROC AUC")
    if model.task == "multiclass":
        return Objective(_class_loss, 2, _hits, _share, "accuracy", "accuracy")
    return Objective(_absolute_loss if model.loss == "absolute" else _squared_loss, 2, _misses, _share, "mae", "MAE")


def _binary_loss(outputs: Tensor, labels: Tensor, reduction: Reduction) -> Tensor:
    return binary_cross_entropy_with_logits(outputs, labels, reduction=reduction)


def _class_loss(outputs: Tensor, labels: Tensor, reduction: Reduction) -> Tensor:
    return cross_entropy(outputs, labels.long(), reduction=reduction)


def _squared_loss(outputs: Tensor, labels: Tensor, reduction: Reduction) -> Tensor:
    return mse_loss(outputs, labels, reduction=reduction)


def _absolute_loss(outputs: Tensor, labels: Tensor, reduction: Reduction) -> Tensor:
    return l1_loss(outputs, labels, reduction=reduction)


def _scores_by_label(outputs: Tensor, labels: Tensor) -> Tensor:
    """Histogram of the scores of the negatives, then of the positives."""
    bins = (torch.sigmoid(outputs) * _BINS).long().clamp(0, _BINS - 1) + _BINS * labels.long()
    return torch.bincount(bins, minlength=2 * _BINS)


def _auc(tally: Tensor) -> float:
    negatives, positives = tally.view(2, _BINS)
    below = negatives.cumsum(0) - negatives
    pairs = positives.sum() * negatives.sum()
    return float((positives * (below + negatives / 2)).sum() / pairs) if pairs else 0.5


def _hits(outputs: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([(outputs.argmax(dim=1) == labels.long()).sum().double(), torch.tensor(len(labels), dtype=torch.float64, device=labels.device)])


def _misses(outputs: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([(outputs - labels).abs().sum().double(), torch.tensor(len(labels), dtype=torch.float64, device=labels.device)])


def _share(tally: Tensor) -> float:
    return float(tally[0] / tally[1])
