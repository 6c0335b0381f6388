"""What is kept of every answered request: counts, a line of the log, a span, and a word to whoever looks at the traffic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from serve import request_log, tracing
from serve.answers import Answer, Scope
from serve.metrics import Labels, Metrics
from serve.request_log import Line
from serve.routes import SCORING
from serve.seam import Scored, Traffic

if TYPE_CHECKING:
    from serve.work import Work

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"))


class Notes:
    def __init__(self, models: Mapping[str, Traffic]) -> None:
        self._models = models
        self.metrics = Metrics(self._loaded)
        self.log, self._tracing = request_log.from_environment(), tracing.from_environment()

    def start(self) -> None:
        if self.log:
            self.log.start()

    async def stop(self) -> None:
        for each in (self.log, self._tracing):
            if each:
                await asyncio.to_thread(each.stop)

    def note(self, scope: Scope, headers: Mapping[bytes, bytes], work: Work, answer: Answer) -> None:
        """After the answer was sent."""
        seconds = time.perf_counter() - work.started
        model, status = work.model, answer.status
        name, version = (model.name, model.version) if model else ("", "")
        self.metrics.answered(work.method if work.method in _METHODS else "_OTHER", work.route, status, name, version, seconds)
        if model and work.route in SCORING:
            self.metrics.scored(name, version, status, work.probabilities)
            self._models[name].after(Scored(work.id, model, work.columns, work.probabilities, seconds, status))
        if self.log and self.log.wants(work.id, status):
            line = Line(time.time(), work.id, work.method, scope["path"], status, round(1e3 * seconds, 3))
            line.rows, line.model, line.version, line.bytes, line.client = len(work.probabilities), name, version, len(answer.body), work.client
            self.log.put(line)
        if self._tracing and work.route in SCORING:
            attributes = {"seatrial.model": name, "seatrial.version": version, "seatrial.rows": len(work.probabilities), "seatrial.request_id": work.id}
            self._tracing.record(headers, work.method, work.route, status, seconds, attributes)

    def _loaded(self) -> Iterator[Labels]:
        for name, traffic in self._models.items():
            found = {model: "champion" for model in [traffic.live] if model}
            for each in traffic.state().get("versions", ()):
                if model := traffic.by_version(each["version"]):
                    found[model] = each["role"]
            for model, role in found.items():
                yield name, model.version, model.fingerprint, role
