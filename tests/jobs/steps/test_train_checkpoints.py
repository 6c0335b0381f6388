"""Checkpoints: what is saved comes back, what is damaged is passed over, what is old goes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from jobs.contracts.errors import IntegrityError
from jobs.steps import checkpoints
from jobs.steps.checkpoints import Progress
from jobs.steps.training_state import collect


def step(module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    module(torch.ones(2, 3)).sum().backward()
    optimizer.step()


def pair(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    return module, torch.optim.AdamW(module.parameters(), lr=0.1, fused=True)


def save(folder: Path, *epochs: int, best: int = 1, keep: int = 2) -> None:
    for epoch in epochs:
        checkpoints.save(folder, Progress("job", epoch, min(best, epoch), 0.5), collect(*pair(epoch)), keep=keep)


def kept(folder: Path) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in folder.iterdir())


def test_training_goes_on_from_a_checkpoint_as_if_never_interrupted(tmp_path: Path) -> None:
    module, optimizer = pair(1)
    step(module, optimizer)
    checkpoints.save(tmp_path, Progress("job", 1, 1, 0.5), collect(module, optimizer))
    other, its_optimizer = pair(2)
    found = checkpoints.newest(tmp_path, "job")
    assert found is not None
    assert found.progress == Progress("job", 1, 1, 0.5)
    checkpoints.restore(found, other, its_optimizer)
    for each in ((module, optimizer), (other, its_optimizer)):
        step(*each)
        step(*each)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(module.state_dict().values(), other.state_dict().values(), strict=True))


def test_newest_few_and_the_best_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3, 4, 5, 6, best=2)
    assert kept(tmp_path) == [2, 5, 6]
    save(tmp_path, 7, best=2, keep=1)
    assert kept(tmp_path) == [2, 7]


def test_what_a_writer_that_was_killed_has_left_goes_with_the_next_save(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / ".epoch-00002-0123456789abcdef.safetensors.9325da0f1bdf4a9f8a424381a127aa4b").write_bytes(b"half")
    assert checkpoints.newest(tmp_path, "job") is not None
    save(tmp_path, 2)
    assert sorted(path.name for path in tmp_path.glob(".*")) == []
    assert kept(tmp_path) == [1, 2]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: bytes([data[0] ^ 1]) + data[1:], lambda data: data[:-9] + b"x" + data[-8:]]
)
def test_damaged_checkpoint_is_passed_over_with_a_message(tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, 1, 2)
    newest = max(tmp_path.iterdir())
    newest.write_bytes(damage(newest.read_bytes()))  # type: ignore[operator]
    found = checkpoints.newest(tmp_path, "job")
    assert found is not None
    assert found.progress.epoch == 1
    assert newest.name in caplog.text


def test_what_is_no_checkpoint_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".epoch-00009-0123456789abcdef.safetensors.tmp123").write_bytes(b"half")
    assert checkpoints.newest(tmp_path, "job") is None
    assert checkpoints.newest(tmp_path / "absent", "job") is None
    save(tmp_path, 1)
    assert checkpoints.newest(tmp_path, "another job") is None


def test_missing_best_is_an_integrity_error(tmp_path: Path) -> None:
    save(tmp_path, 1)
    assert checkpoints.of_epoch(tmp_path, "job", 1).progress.epoch == 1
    with pytest.raises(IntegrityError, match="epoch 2"):
        checkpoints.of_epoch(tmp_path, "job", 2)


def test_progress_stops_for_lack_of_patience_or_epochs() -> None:
    progress = Progress("job")
    for loss in (0.5, 0.4, 0.45, 0.41):
        assert not progress.stopped
        progress = progress.after_epoch(loss, patience=2, max_epochs=10)
    assert (progress.epoch, progress.best_epoch, progress.best_loss, progress.stopped) == (4, 2, 0.4, True)
    assert Progress("job", 9, 9, 0.5).after_epoch(0.4, patience=2, max_epochs=10).stopped
