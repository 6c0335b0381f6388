"""Requests to scores: small ones on the event loop or in a batch, large ones in a thread, and none that would wait too long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from serve.answers import Answer, unavailable
from serve.batching import Batcher, pays

if TYPE_CHECKING:
    from serve.guard.settings import GuardSettings
    from serve.metrics import Metrics
    from serve.model import LoadedModel, Tensors
    from serve.routes import Format
    from serve.work import Work

SMALL = 32 << 10  # bytes; a larger body takes over a millisecond to answer and leaves the event loop for a thread
MOST_LARGE = 64  # larger bodies at a time: a second or two of work
MOST_HELD = 256 << 20  # bytes of them at a time; parsed they are several times as much
_CHUNKED = 1 << 20  # bytes; a guess at a body that does not say how large it is


class Scoring:
    """``models``: how many names are served side by side."""

    def __init__(self, settings: GuardSettings, metrics: Metrics, models: int) -> None:
        self._settings, self._metrics, self._models = settings, metrics, models
        self._large = self._held = 0
        self._batchers: dict[int, tuple[LoadedModel, Batcher | None]] = {}

    def hold(self, headers: Mapping[bytes, bytes]) -> int:
        """Bytes set aside for a body before it is read; 0 for a small one. Give them back with :meth:`release`.

        Errors: Refused 503 while too many large requests are under way.
        """
        declared = headers.get(b"content-length")
        if declared is None:
            size = _CHUNKED if b"transfer-encoding" in headers else 0
        else:
            size = min(int(declared), self._settings.body) if declared.isdigit() and len(declared) < 20 else 0
        if size <= SMALL:
            return 0
        if self._large >= MOST_LARGE or (self._held and self._held + size > MOST_HELD):
            self._metrics.refuse("large")
            raise unavailable("too many large requests are being answered: send this one again")
        self._large, self._held = self._large + 1, self._held + size
        return size

    def release(self, held: int) -> None:
        if held:
            self._large, self._held = self._large - 1, self._held - held

    async def score(self, form: Format, model: LoadedModel, headers: Mapping[bytes, bytes], body: bytes, work: Work) -> Answer:
        """Errors: Refused; 503 where it would take too long."""
        if len(body) > SMALL:
            return await self._in_thread(form, model, headers, body, work)
        tensors, wish = form.read(model, headers, body)
        batcher = self._batcher(model) if tensors.rows else None
        if batcher:
            probabilities = model.check(await self._batched(batcher, tensors))
        else:
            probabilities = model.score(tensors)
            self._count(model, tensors)
        work.columns, work.probabilities = tensors.columns, model.headline(probabilities)
        return form.write(model, probabilities, wish)

    async def _in_thread(self, form: Format, model: LoadedModel, headers: Mapping[bytes, bytes], body: bytes, work: Work) -> Answer:
        """Where it takes too long the client is told so, and the thread, one of a few, works to its end."""
        tensors, probabilities, answer = await asyncio.to_thread(_whole, form, model, headers, body)
        self._count(model, tensors)
        work.columns, work.probabilities = tensors.columns, model.headline(probabilities)
        return answer

    async def _batched(self, batcher: Batcher, tensors: Tensors) -> NDArray[np.float32]:
        if batcher.expected_seconds > self._settings.wait_ms / 1e3:
            self._metrics.refuse("wait")
            raise unavailable("the service is busy: send the request once more")
        return await batcher.score(tensors)

    def _count(self, model: LoadedModel, tensors: Tensors) -> None:
        if tensors.rows:
            self._metrics.batch(model.name, model.version, tensors.rows)

    def _batcher(self, model: LoadedModel) -> Batcher | None:
        found = self._batchers.get(id(model))
        if found is None:
            if len(self._batchers) > 2 * self._models + 8:  # versions that are gone
                for _, old in self._batchers.values():
                    if old:
                        old.close()
                self._batchers.clear()
            made = Batcher(model, lambda rows: self._metrics.batch(model.name, model.version, rows)) if pays(model) else None
            found = self._batchers[id(model)] = (model, made)
        return found[1]


def _whole(form: Format, model: LoadedModel, headers: Mapping[bytes, bytes], body: bytes) -> tuple[Tensors, NDArray[np.float32], Answer]:
    tensors, wish = form.read(model, headers, body)
    probabilities = model.score(tensors)
    return tensors, probabilities, form.write(model, probabilities, wish)
