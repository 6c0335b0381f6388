"""The order in which batches are copied and given out; a CPU is left alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from jobs.steps.device import place
from jobs.steps.loader import Rows
from jobs.steps.prefetch import ahead, on_device


def batch(number: int) -> Rows:
    return Rows(torch.zeros(1, 0), torch.zeros(1, 0), torch.tensor([float(number)]))


def number_of(rows: Rows) -> int:
    return int(rows.labels[0])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_cpu_gets_the_batches_themselves(precision: str) -> None:
    batches = [batch(0), batch(1)]
    assert on_device(batches, place(0, cuda=True, bfloat16=True, precision=precision)) is batches


def test_the_next_copy_begins_before_a_batch_is_given_out_and_after_that_batch_is_there() -> None:
    events: list[str] = []

    def given() -> Iterator[Rows]:
        for number in range(3):
            events.append(f"load {number}")
            yield batch(number)

    def copy(rows: Rows) -> Rows:
        events.append(f"copy {number_of(rows)}")
        return rows

    for rows in ahead(given(), copy, lambda rows: events.append(f"wait {number_of(rows)}")):
        events.append(f"compute {number_of(rows)}")
    expected = ["load 0", "copy 0", "load 1", "wait 0", "copy 1", "compute 0", "load 2", "wait 1", "copy 2", "compute 1", "wait 2", "compute 2"]
    assert events == expected
    assert not list(ahead([], copy, print))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_on_a_gpu_every_batch_arrives() -> None:
    found = [number_of(rows) for rows in on_device([batch(number) for number in range(20)], place(1, cuda=True, bfloat16=False))]
    assert found == list(range(20))
