"""Checkpoints that survive a kill at any moment: one safetensors file each, named after its own content.

    checkpoints/epoch-00003-1f0c6c2a9b7e4d55.safetensors    epochs done, first 16 digits of the file's SHA-256

A file holds the model's and the optimizer's tensors and, as metadata, the training state; it appears under its name by
one rename. Nothing in it executes when it is loaded. The newest few and the best are kept.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from jobs.contracts import storage
from jobs.contracts.errors import IntegrityError
from jobs.steps.training_state import MODEL, OPTIMIZER, put_back

logger = logging.getLogger(__name__)

_NAME = re.compile(r"epoch-(\d{5})-([0-9a-f]{16})\.safetensors")


@dataclass(frozen=True)
class Progress:
    """How far a training run is. Random numbers need no state: they follow from the seed and the epoch."""

    job: str  # fingerprint of the job that trains; another job's checkpoints are not taken over
    epoch: int = 0  # epochs done
    best_epoch: int = 0
    best_loss: float = float("inf")  # on the validation part
    stopped: bool = False  # nothing is left to train

    def after_epoch(self, loss: float, *, patience: int, max_epochs: int) -> Progress:
        epoch = self.epoch + 1
        better = loss < self.best_loss
        best_epoch, best_loss = (epoch, loss) if better else (self.best_epoch, self.best_loss)
        return replace(self, epoch=epoch, best_epoch=best_epoch, best_loss=best_loss, stopped=epoch >= max_epochs or epoch - best_epoch >= patience)


@dataclass(frozen=True)
class Checkpoint:
    progress: Progress
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]  # "<parameter's number>.<name>"


def save(folder: Path, progress: Progress, tensors: Mapping[str, Tensor], *, keep: int = 2) -> None:
    """Write a checkpoint of what :func:`training_state.collect` found.

    Then remove those that are neither among the newest ``keep`` nor the best, and what a killed writer left.

    Errors: StorageError when the disk is full; earlier checkpoints stay.
    """
    data = save_tensors(dict(tensors), {"progress": json.dumps(asdict(progress))})
    storage.write_bytes(str(folder / f"epoch-{progress.epoch:05d}-{_digest(data)}.safetensors"), data)
    # One process writes here, so any other temporary file is of one that was killed while it wrote.
    for leftover in folder.glob(".epoch-*.safetensors.*"):
        leftover.unlink(missing_ok=True)
    epochs = sorted({epoch for epoch, _, _ in _listed(folder)})
    for epoch, _, path in _listed(folder):
        if epoch not in (*epochs[-keep:], progress.best_epoch):
            path.unlink(missing_ok=True)


def newest(folder: Path, job: str) -> Checkpoint | None:
    """The newest intact checkpoint of this job, or None; a damaged one is passed over with a message."""
    for _, _, path in reversed(_listed(folder)):
        checkpoint = _open(path)
        if checkpoint is not None and checkpoint.progress.job == job:
            return checkpoint
    return None


def of_epoch(folder: Path, job: str, epoch: int) -> Checkpoint:
    """The intact checkpoint of one epoch.

    Errors: IntegrityError when it is missing or damaged.
    """
    for found, _, path in _listed(folder):
        checkpoint = _open(path) if found == epoch else None
        if checkpoint is not None and checkpoint.progress.job == job:
            return checkpoint
    raise IntegrityError(f"the checkpoint of epoch {epoch} is missing or damaged", where=str(folder), hint="remove this folder and train again")


def restore(checkpoint: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's tensors back into a model and an optimizer of the same shape."""
    put_back(checkpoint.model, checkpoint.optimizer, model, optimizer)


def _listed(folder: Path) -> list[tuple[int, str, Path]]:
    """(epoch, digest, path) of every checkpoint, oldest first."""
    matches = [(_NAME.fullmatch(path.name), path) for path in folder.iterdir()] if folder.exists() else []
    return sorted((int(match[1]), match[2], path) for match, path in matches if match)


def _open(path: Path) -> Checkpoint | None:
    data = path.read_bytes()
    try:
        if _digest(data) != _NAME.fullmatch(path.name)[2]:  # type: ignore[index]
            raise ValueError("its content does not match the SHA-256 in its name")
        tensors = dict(sorted(load_tensors(data).items()))  # in an order that is the same in every process
        progress = Progress(**json.loads(_metadata(data)["progress"]))
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        logger.warning("checkpoint %s is damaged (%s): using an earlier one", path.name, error)
        return None
    return Checkpoint(progress, _below(MODEL, tensors), _below(OPTIMIZER, tensors))


def _metadata(data: bytes) -> dict[str, Any]:
    """The metadata of a safetensors file: 8 bytes of header length, then the header as JSON."""
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]  # type: ignore[no-any-return]


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
