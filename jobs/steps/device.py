"""Where and how a training process computes, decided from what the job asks for and what the machine has."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from jobs.contracts.errors import SetupError


@dataclass(frozen=True)
class Placement:
    """One worker's device. ``amp`` = bfloat16 autocast; ``pinned`` = page-locked batches, copied while the GPU computes."""

    device: str
    collective: str  # torch.distributed backend
    amp: bool
    pinned: bool

    @property
    def non_blocking(self) -> bool:
        return self.pinned


def place(gpus: int, *, cuda: bool, bfloat16: bool) -> Placement:
    """GPU where one per worker is asked for, CPU otherwise. bfloat16 needs no loss scaling, so AMP is used only with it.

    Errors: SetupError when a GPU is asked for and there is none.
    """
    if gpus == 0:
        return Placement("cpu", "gloo", amp=False, pinned=False)
    if not cuda:
        raise SetupError(
            "the job asks for a GPU and torch sees none here",
            where="resources.gpu",
            hint="set gpu: 0, or run on a machine with a GPU and a CUDA build of torch",
        )
    return Placement("cuda", "nccl", amp=bfloat16, pinned=True)


def autocast(placement: Placement) -> AbstractContextManager[object]:
    return torch.autocast(placement.device, dtype=torch.bfloat16) if placement.amp else nullcontext()
