"""The mirror: Ray's counters get increments, its gauges values; nothing is counted twice."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from serve.ray_metrics import Mirror


class Recorder:
    """Stands where Ray's classes stand: one total for each name and set of tags."""

    def __init__(self) -> None:
        self.totals: dict[tuple[str, str], float] = {}

    def __call__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> Any:
        recorder = self

        class Metric:
            def inc(self, value: float, tags: dict[str, str]) -> None:
                assert (value > 0, tuple(tags)) == (True, tag_keys)
                recorder.totals[name, ",".join(tags.values())] = recorder.totals.get((name, ",".join(tags.values())), 0) + value

            def set(self, value: float, tags: dict[str, str]) -> None:
                recorder.totals[name, ",".join(tags.values())] = value

        return Metric()


def test_totals_arrive_whole_and_once() -> None:
    registry, counters, gauges = CollectorRegistry(), Recorder(), Recorder()
    rows = Counter("rows", "", ["model"], registry=registry)
    seconds = Histogram("seconds", "", buckets=(1, 2), registry=registry)
    loaded = Gauge("loaded", "", ["version"], registry=registry)
    mirror = Mirror(registry, counters, gauges)
    rows.labels("flights").inc(3)
    seconds.observe(1.5)
    loaded.labels("1").set(1)
    for _ in range(3):
        mirror.look()
    assert counters.totals == {
        ("rows", "flights"): 3,
        ("seconds_bucket", "2.0"): 1,
        ("seconds_bucket", "+Inf"): 1,
        ("seconds_count", ""): 1,
        ("seconds_sum", ""): 1.5,
    }
    assert gauges.totals == {("loaded", "1"): 1}
    rows.labels("flights").inc(2)
    rows.labels("").inc()
    loaded.remove("1")
    gauges.totals.clear()
    loaded.labels("2").set(1)
    mirror.look()
    assert (counters.totals["rows", "flights"], counters.totals["rows", "none"]) == (5, 1)
    assert gauges.totals == {("loaded", "2"): 1}  # what Ray heard since its last export
