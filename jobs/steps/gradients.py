"""The gradients of one optimizer step: of a whole batch, or of its pieces one after the other where the whole needs too much memory."""

from __future__ import annotations

from torch import Tensor, nn

from jobs.steps.device import Placement, autocast
from jobs.steps.loader import Rows
from jobs.steps.objectives import Objective
from jobs.steps.parallel import unexchanged


def backward(module: nn.Module, batch: Rows, placement: Placement, objective: Objective, pieces: int = 1) -> Tensor:
    """Add the gradients of the batch's mean loss to the weights'; the loss, a scalar on the device.

    ``pieces`` above 1 give the same up to float rounding, with the activations of one piece at a time in memory; workers
    exchange gradients once per batch all the same. What looks at a batch as a whole (batch normalisation) sees a piece.
    """
    if pieces == 1:
        return _backward(module, batch, placement, objective)
    size = -(-len(batch) // pieces)
    parts = [batch.slice(start, start + size) for start in range(0, len(batch), size)]
    with unexchanged(module):
        losses = [_backward(module, part, placement, objective, len(part) / len(batch)) for part in parts[:-1]]
    return sum(losses, _backward(module, parts[-1], placement, objective, len(parts[-1]) / len(batch)))


def _backward(module: nn.Module, rows: Rows, placement: Placement, objective: Objective, weight: float = 1.0) -> Tensor:
    with autocast(placement):
        logits = module(rows.categorical, rows.numeric)
    loss = objective.loss(logits.float(), rows.labels, "mean")
    if weight != 1.0:
        loss = loss * weight
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.detach()
