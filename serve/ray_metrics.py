"""A replica's metrics in Ray's own, where Prometheus finds those of all replicas on all nodes.

Every few seconds the replica's registry is read as a scraper reads it, and what changed goes to Ray: gauges as they are, counters and the
parts of histograms as increments. Ray adds the labels ``application``, ``deployment`` and ``replica``, and to the names ``ray_`` and, to all
that counts, ``_total``: ``http_server_request_duration_seconds_bucket`` is ``ray_http_server_request_duration_seconds_bucket_total``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

log = logging.getLogger(__name__)

SECONDS = 5.0  # between two looks
_COUNTING = ("_total", "_bucket", "_count", "_sum")
Maker = Callable[..., Any]  # name, description and tag_keys to one of Ray's metrics


class Mirror:
    """``counter``, ``gauge``: Ray's classes; ``inc(value, tags)`` and ``set(value, tags)`` are all that is used."""

    def __init__(self, registry: CollectorRegistry, counter: Maker | None = None, gauge: Maker | None = None) -> None:
        if counter is None or gauge is None:
            from ray.serve import metrics as ray_metrics

            counter, gauge = counter or ray_metrics.Counter, gauge or ray_metrics.Gauge
        self._registry, self._counter, self._gauge = registry, counter, gauge
        self._made: dict[str, Any] = {}
        self._last: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def start(self) -> None:
        """For as long as the process lives."""
        threading.Thread(target=self._forever, daemon=True, name="ray-metrics").start()

    def look(self) -> None:
        """Hand over what changed since the last look, and all gauges: Ray forgets those at each export, and so versions that are gone."""
        for family in self._registry.collect():
            for sample in family.samples:
                tags = {label: text or "none" for label, text in sorted(sample.labels.items())}
                if family.type == "gauge":
                    self._of(self._gauge, sample.name, tags).set(sample.value, tags=tags)
                elif sample.name.endswith(_COUNTING):  # the rest says when a counter began
                    self._count(sample.name, tags, sample.value)

    def _count(self, name: str, tags: dict[str, str], value: float) -> None:
        key = (name, tuple(tags.items()))
        before = self._last.get(key, 0.0)
        if value > before:  # Ray refuses to count nothing
            self._of(self._counter, name, tags).inc(value - before, tags=tags)
            self._last[key] = value

    def _of(self, maker: Maker, name: str, tags: dict[str, str]) -> Any:
        if name not in self._made:
            self._made[name] = maker(name.removesuffix("_total"), description=name, tag_keys=tuple(tags))
        return self._made[name]

    def _forever(self) -> None:
        pause = threading.Event()
        while not pause.wait(SECONDS):
            try:
                self.look()
            except Exception:  # counting must never end a replica; what fails again and again shows in its log
                log.exception("the metrics did not reach Ray")
