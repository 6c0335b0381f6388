"""What one process of the service counts, as Prometheus reads it at ``GET /metrics``.

    http_server_request_duration_seconds{http_request_method,http_route,http_response_status_code,model,model_version}   histogram
    http_server_active_requests                          gauge: requests that are being read or answered
    model_infer_request_success_total{model_name,model_version}    and ..._failure_total (4xx and 5xx of scoring requests)
    seatrial_rows_total{model,model_version}             rows scored
    seatrial_batch_rows{model,model_version}             histogram: rows in one call of the model
    seatrial_prediction{model,model_version}             histogram of the probabilities
    seatrial_model_info{model,model_version,bundle,role} 1 for each version that is loaded
    seatrial_shed_total{reason}                          requests refused with 503 to protect the others

The first two are OpenTelemetry's names for HTTP servers as Prometheus spells them, the third is MLServer's for the same protocol.
All of it is of this process: behind a load balancer, scrape the replicas and not the service. A Ray Serve replica also hands its totals
to Ray's own metrics, labelled with the replica (``serve.ray_metrics``).

Everything is counted on the event loop, where nothing else runs meanwhile, into plain lists: half a microsecond a request.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
SHARES = tuple(round(step * 0.05, 2) for step in range(1, 21))

Labels = tuple[str, ...]


class Counts:
    """A histogram: entries per bucket, the last one beyond all bounds, and their sum."""

    __slots__ = ("bounds", "buckets", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.buckets, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_all(self, values: NDArray[Any]) -> None:
        found = np.bincount(np.searchsorted(self.bounds, values), minlength=len(self.buckets))
        self.buckets = [one + int(other) for one, other in zip(self.buckets, found, strict=True)]
        self.total += float(values.sum(dtype=np.float64))

    @property
    def count(self) -> int:
        return sum(self.buckets)

    def cumulated(self) -> list[tuple[str, float]]:
        """Prometheus's form: (bound, entries up to it)."""
        names = [*(repr(float(bound)) for bound in self.bounds), "+Inf"]
        return list(zip(names, np.cumsum(self.buckets).tolist(), strict=True))


class _Version:
    """What one version scored."""

    def __init__(self) -> None:
        self.succeeded = self.failed = self.rows = 0
        self.batches, self.predictions = Counts(ROWS), Counts(SHARES)


class Metrics:
    """``models``: rows of (model, version, bundle, role) that are loaded now."""

    def __init__(self, models: Callable[[], Iterator[Labels]] = lambda: iter(())) -> None:
        self.active = 0
        self.requests: dict[Labels, Counts] = {}
        self.versions: dict[tuple[str, str], _Version] = {}
        self.shed: dict[str, int] = {}
        self._models = models
        self._registry: CollectorRegistry | None = None

    def answered(self, method: str, route: str, status: int, model: str, version: str, seconds: float) -> None:
        key = (method, route, str(status), model, version)
        found = self.requests.get(key)
        if found is None:
            found = self.requests[key] = Counts(SECONDS)
        found.add(seconds)

    def scored(self, model: str, version: str, status: int, probabilities: NDArray[np.float32]) -> None:
        found = self.versions.get((model, version))
        if found is None:
            found = self.versions[model, version] = _Version()
        if status >= 400:
            found.failed += 1
            return
        found.succeeded += 1
        rows = len(probabilities)
        found.rows += rows
        if rows == 1:
            found.predictions.add(float(probabilities[0]))
        elif rows:
            found.predictions.add_all(probabilities)

    def batch(self, model: str, version: str, rows: int) -> None:
        """One call of the model."""
        found = self.versions.get((model, version))
        if found is None:
            found = self.versions[model, version] = _Version()
        found.batches.add(rows)

    def refuse(self, reason: str) -> None:
        self.shed[reason] = self.shed.get(reason, 0) + 1

    @property
    def registry(self) -> CollectorRegistry:
        """Where others register collectors of their own."""
        if self._registry is None:
            from prometheus_client import CollectorRegistry

            self._registry = CollectorRegistry(auto_describe=False)
            self._registry.register(self)  # type: ignore[arg-type]
        return self._registry

    def text(self, accept: str = "") -> tuple[bytes, bytes]:
        """Everything registered, in the format that the scraper prefers, and its media type."""
        from prometheus_client.exposition import choose_encoder

        encode, kind = choose_encoder(accept)
        return encode(self.registry), kind.encode()

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        names = ["http_request_method", "http_route", "http_response_status_code", "model", "model_version"]
        requests = HistogramMetricFamily("http_server_request_duration_seconds", "From the request's head to its answer", labels=names)
        for labels, counts in list(self.requests.items()):
            requests.add_metric(labels, counts.cumulated(), counts.total)
        yield requests
        yield GaugeMetricFamily("http_server_active_requests", "Requests that are being read or answered", self.active)
        shed = CounterMetricFamily("seatrial_shed", "Requests refused with 503 to protect the others", labels=["reason"])
        for reason, count in list(self.shed.items()):
            shed.add_metric([reason], count)
        yield shed
        info = GaugeMetricFamily("seatrial_model_info", "Versions that are loaded", labels=["model", "model_version", "bundle", "role"])
        for labels in self._models():
            info.add_metric(labels, 1)
        yield info
        yield from self._of_versions()

    def _of_versions(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily

        server, own = ["model_name", "model_version"], ["model", "model_version"]
        success = CounterMetricFamily("model_infer_request_success", "Scoring requests answered", labels=server)
        failure = CounterMetricFamily("model_infer_request_failure", "Scoring requests refused", labels=server)
        rows = CounterMetricFamily("seatrial_rows", "Rows scored", labels=own)
        batches = HistogramMetricFamily("seatrial_batch_rows", "Rows in one call of the model", labels=own)
        predictions = HistogramMetricFamily("seatrial_prediction", "Probabilities answered", labels=own)
        for labels, found in list(self.versions.items()):
            success.add_metric(labels, found.succeeded)
            failure.add_metric(labels, found.failed)
            rows.add_metric(labels, found.rows)
            batches.add_metric(labels, found.batches.cumulated(), found.batches.total)
            predictions.add_metric(labels, found.predictions.cumulated(), found.predictions.total)
        yield from (success, failure, rows, batches, predictions)
