"""Batches on the device that computes: on a GPU, each is copied while the one before it is computed with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch

from jobs.steps.device import Placement
from jobs.steps.loader import Rows


def on_device(batches: Iterable[Rows], placement: Placement) -> Iterable[Rows]:
    """The batches where they are computed with. On a CPU they are there already, and nothing is done to them."""
    if not placement.pinned:
        return batches
    side, device = torch.cuda.Stream(), placement.device

    def copy(rows: Rows) -> Rows:
        with torch.cuda.stream(side):
            return rows.pin().to(device, non_blocking=True)

    def wait(rows: Rows) -> None:
        main = torch.cuda.current_stream()
        main.wait_stream(side)
        for tensor in (rows.categorical, rows.numeric, rows.labels):
            tensor.record_stream(main)  # else its memory would be free for the side stream's next copy, which runs ahead

    return ahead(batches, copy, wait)


def ahead(batches: Iterable[Rows], copy: Callable[[Rows], Rows], wait: Callable[[Rows], None]) -> Iterator[Rows]:
    """Each batch as ``copy`` made it, after ``wait``; the next one's copy has begun before it is given out, and no further one."""
    ready: Rows | None = None
    for rows in batches:
        if ready is not None:
            wait(ready)  # before the next copy begins: what is waited for is all that has begun
        given, ready = ready, copy(rows)
        if given is not None:
            yield given
    if ready is not None:
        wait(ready)
        yield ready
