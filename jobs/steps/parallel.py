"""One model on several workers: how their gradients become one."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from torch import nn
from torch.nn.parallel import DistributedDataParallel

_ONE_BUCKET = 1 << 10  # MB; these models are small: one exchange of gradients per step beats several


def replicated(module: nn.Module, *, every_pass: bool = True) -> nn.Module:
    """The module whole on every worker, with gradients averaged over all of them (DDP): after every backward pass, or some."""
    # Buffers are constants fitted from the manifest, equal everywhere: sending them at every step would be waste.
    # DDP takes a graph for static only when the first pass is exchanged.
    return DistributedDataParallel(module, forward_sync_buffers=False, gradient_as_bucket_view=True, static_graph=every_pass, bucket_cap_mb=_ONE_BUCKET)


def unexchanged(module: nn.Module) -> AbstractContextManager[None]:
    """Inside, gradients add up on this worker alone; the first backward pass outside exchanges the sum."""
    return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()
