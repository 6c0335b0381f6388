"""One model on several workers: whole on each (DDP), or in shards where it is too large for that (FSDP)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from jobs.steps.loader import Rows

_ONE_BUCKET = 1 << 10  # MB; these models are small: one exchange of gradients per step beats several


def replicated(module: nn.Module, *, every_pass: bool = True) -> nn.Module:
    """The module whole on every worker, with gradients averaged over all of them (DDP): after every backward pass, or some."""
    # Buffers are constants fitted from the manifest, equal everywhere: sending them at every step would be waste.
    # DDP takes a graph for static only when the first pass is exchanged.
    return DistributedDataParallel(module, forward_sync_buffers=False, gradient_as_bucket_view=True, static_graph=every_pass, bucket_cap_mb=_ONE_BUCKET)


def shard(module: nn.Module, device: str, world: int) -> None:
    """Leave each worker one part in ``world`` of the weights, on ``device``, in place: FSDP2.

    So of their gradients and of the optimizer's moments too, which are three quarters of what training keeps. A block is whole
    only while it computes; a module without blocks is one. Moves one block at a time, so only processor memory need hold them all.
    """
    from torch.distributed.device_mesh import init_device_mesh  # here, because whole models need not wait 2 s for it
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device, (world,))
    for block in blocks(module):
        fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)


def is_sharded(module: nn.Module) -> bool:
    return hasattr(module, "reshard")  # what FSDP adds; its class would have to be imported


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The entries of the outermost ``nn.ModuleList``: by convention, what a large model repeats."""
    for child in module.children():
        yield from child if isinstance(child, nn.ModuleList) else blocks(child)


def unexchanged(module: nn.Module) -> AbstractContextManager[None]:
    """Inside, gradients add up on this worker alone; the first backward pass outside exchanges the sum.

    Not of a sharded module: its gradients would have to stay whole.
    """
    return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()


def in_step(batches: Iterable[Rows], device: str) -> Iterator[tuple[Rows, bool]]:
    """This worker's batches, each with True; then the last one again, with False, for as long as another worker has more.

    For a sharded module, whose blocks all workers put together at the same time. ``batches`` has at least one.
    """
    rest = iter(batches)
    rows = next(rest)
    upcoming: Rows | None = rows
    while _any(upcoming is not None, device):
        rows = upcoming or rows
        yield rows, upcoming is not None
        upcoming = next(rest, None)


def _any(mine: bool, device: str) -> bool:
    """Whether it is true of any worker."""
    votes = torch.tensor(float(mine), device=device)
    dist.all_reduce(votes)
    return bool(votes > 0)
