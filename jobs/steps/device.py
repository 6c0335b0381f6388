"""Where and how a training process computes, decided from what the job asks for and what the machine has."""

from __future__ import annotations

import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from jobs.contracts.errors import SetupError

# Steps from which compiling is taken to pay: it takes about a minute, which so many steps give back if each saves 12 ms.
_REPAID = 5_000


@dataclass(frozen=True)
class Placement:
    """One worker's device. ``amp`` = bfloat16 autocast; ``pinned`` = page-locked batches, copied while the GPU computes."""

    device: str
    collective: str  # torch.distributed backend
    amp: bool
    pinned: bool


def place(gpus: int, *, cuda: bool, bfloat16: bool, precision: str = "auto") -> Placement:
    """GPU where one per worker is asked for, CPU otherwise. bfloat16 needs no loss scaling, so AMP is used only with it.

    ``precision``: ``auto`` = bfloat16 on GPUs that have it (``bfloat16``), float32 elsewhere; ``fp32``; ``bf16``.
    Errors: SetupError when a GPU is asked for and there is none, or one without the bfloat16 that is asked for.
    """
    if gpus == 0:
        return Placement("cpu", "gloo", amp=precision == "bf16", pinned=False)
    if not cuda:
        raise SetupError(
            "the job asks for a GPU and torch sees none here",
            where="resources.gpu",
            hint="set gpu: 0, or run on a machine with a GPU and a CUDA build of torch",
        )
    if precision == "bf16" and not bfloat16:
        raise SetupError("this GPU has no bfloat16", where="params.precision", hint="set precision: auto, or take an accelerator from Ampere on")
    return Placement("cuda", "nccl", amp=bfloat16 and precision != "fp32", pinned=True)


def compiles(wish: str, device: str, steps: int, *, able: bool) -> bool:
    """Whether the model is compiled (torch.compile).

    ``wish``: on, off, or auto: on a GPU, when the optimizer ``steps`` of the whole run repay it, so that a resumed run decides alike.
    ``able``: there is a C compiler, which torch's own builds its kernels with. Errors: SetupError when it is asked for and cannot be.
    """
    if wish == "on" and not able:
        raise SetupError("torch.compile needs a C compiler, and there is none here", where="params.compile", hint="install gcc, or set compile: auto")
    return wish == "on" or (wish == "auto" and able and device == "cuda" and steps >= _REPAID)


def has_compiler() -> bool:
    return any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", "gcc", "clang"))


def autocast(placement: Placement) -> AbstractContextManager[object]:
    return torch.autocast(placement.device, dtype=torch.bfloat16) if placement.amp else nullcontext()
