"""Small requests that arrive together are scored together, where that is faster.

No request waits for company: while one batch is in the model, on a thread, the next one gathers; when the model is idle it is called at
once. So batches are of one row under light load and grow with it. For a model so fast that handing it to a thread costs more than a batch
saves (small networks on a CPU), ``serve.asgi`` scores on the event loop instead; a loaded version has measured which (:func:`pays`).

    SEATRIAL_SERVE_BATCHING    auto (default), on, off
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from serve.model import LoadedModel, Tensors

VARIABLE = "SEATRIAL_SERVE_BATCHING"
HAND_OVER = 150e-6  # seconds: a future, two wake-ups and the change of thread, on the machines that we measured
_Waiting = tuple[Tensors, "asyncio.Future[NDArray[np.float32]]"]
MOST_ROWS = 512  # in one batch: a few milliseconds, so that nobody waits long behind others


def pays(model: LoadedModel) -> bool:
    """Whether a batch saves more per row than handing over costs."""
    chosen = os.environ.get(VARIABLE, "auto")
    return chosen == "on" or (chosen != "off" and model.row_seconds - model.batched_row_seconds > HAND_OVER)


class Batcher:
    """Of one loaded version, on one event loop. ``seen``: told the rows of every batch."""

    def __init__(self, model: LoadedModel, seen: Callable[[int], None]) -> None:
        self._model, self._seen = model, seen
        self._waiting: list[_Waiting] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batcher")
        self._running = False
        self._rows = 0  # that wait or are being scored

    @property
    def expected_seconds(self) -> float:
        """Until a request that comes now is scored, about."""
        return self._rows * self._model.batched_row_seconds

    async def score(self, tensors: Tensors) -> NDArray[np.float32]:
        """Probabilities of these rows. Not checked: a number that is none is its request's error alone."""
        future: asyncio.Future[NDArray[np.float32]] = asyncio.get_running_loop().create_future()
        self._waiting.append((tensors, future))
        self._rows += tensors.rows
        if not self._running:
            self._running = True
            # One turn of the loop later, so that all requests of this turn come along.
            asyncio.get_running_loop().call_soon(self._next)
        return await future

    def close(self) -> None:
        self._thread.shutdown(wait=False)

    def _next(self) -> None:
        taken: list[_Waiting] = []
        rows = 0
        while self._waiting and (not taken or rows + self._waiting[0][0].rows <= MOST_ROWS):
            taken.append(self._waiting.pop(0))
            rows += taken[-1][0].rows
        if not taken:
            self._running = False
            return
        self._seen(rows)
        job = asyncio.get_running_loop().run_in_executor(self._thread, self._run, [tensors for tensors, _ in taken])
        job.add_done_callback(lambda done: self._finish(taken, done))

    def _run(self, batch: list[Tensors]) -> NDArray[np.float32]:
        if len(batch) == 1:
            return self._model.scorer.score_tensors(batch[0].categorical, batch[0].numeric)
        return self._model.scorer.score_tensors(
            np.concatenate([tensors.categorical for tensors in batch]), np.concatenate([tensors.numeric for tensors in batch])
        )

    def _finish(self, taken: list[_Waiting], done: asyncio.Future[NDArray[np.float32]]) -> None:
        error, start = done.exception(), 0
        for tensors, future in taken:
            self._rows -= tensors.rows
            if not future.done():  # a client that went away has cancelled its own
                future.set_exception(error) if error else future.set_result(done.result()[start : start + tensors.rows])
            start += tensors.rows
        self._next()
