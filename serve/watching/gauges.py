"""The rollout, drift and the prediction log as Prometheus metrics of one replica: register a :class:`WatchCollector` with a registry.

    seatrial_rollout_step{model,mode}                     number of the last step that this replica follows
    seatrial_rollout_percent{model,version}               share of requests that the version on trial answers
    seatrial_rollout_failed_ratio{model,version,role}    failed requests since the last step
    seatrial_drift_psi{model,column}  _ks  _rows  seatrial_drifted       last hour, champion's traffic against its training data
    seatrial_prediction_log_rows_total{model,result}      written or dropped
    seatrial_answers_unseen_total{model}                  answers that no count, log or drift ever saw: the queue was full

Every replica sees an even share of the traffic, so drift may be averaged over replicas, and alarms counted on the largest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


class WatchCollector(Collector):
    """``state``: :meth:`serve.seam.Traffic.state`; it is asked at every scrape."""

    def __init__(self, model: str, state: Callable[[], dict[str, Any]]) -> None:
        self._model, self._state = model, state

    def describe(self) -> list[Metric]:
        return []  # so that registering asks for nothing

    def collect(self) -> Iterator[Metric]:
        state = self._state()
        if not state:
            return
        yield from self._rollout(state)
        yield from self._drift(state.get("drift", []))
        log = state.get("prediction_log")
        if log is not None:
            rows = CounterMetricFamily("seatrial_prediction_log_rows", "Rows of the prediction log", labels=["model", "result"])
            for result in ("written", "dropped"):
                rows.add_metric([self._model, result], log[result])
            yield rows
        unseen = CounterMetricFamily("seatrial_answers_unseen", "Answers that were dropped before anything looked at them", labels=["model"])
        unseen.add_metric([self._model], state["unseen"])
        yield unseen

    def _rollout(self, state: dict[str, Any]) -> Iterator[Metric]:
        rollout = state["rollout"]
        step = GaugeMetricFamily("seatrial_rollout_step", "Number of the rollout's last step that this replica follows", labels=["model", "mode"])
        step.add_metric([self._model, rollout["mode"]], rollout["revision"])
        yield step
        percent = GaugeMetricFamily("seatrial_rollout_percent", "Share of requests that the version on trial answers", labels=["model", "version"])
        if rollout["challenger"]:
            percent.add_metric([self._model, rollout["challenger"]], rollout["percent"])
        yield percent
        failed = GaugeMetricFamily("seatrial_rollout_failed_ratio", "Failed requests since the rollout's last step", labels=["model", "version", "role"])
        for each in state["versions"]:
            if each.get("requests"):
                failed.add_metric([self._model, each["version"], each["role"]], each["failed"] / each["requests"])
        yield failed

    def _drift(self, drift: list[dict[str, Any]]) -> Iterator[Metric]:
        for name, key, text in (
            ("seatrial_drift_psi", "psi", "Population stability index against the training data, last hour"),
            ("seatrial_drift_ks", "ks", "Kolmogorov-Smirnov distance from the training data, last hour"),
            ("seatrial_drift_rows", "rows", "Rows that were compared"),
            ("seatrial_drifted", "drifted", "1 where a shift matters and chance does not explain it"),
        ):
            gauge = GaugeMetricFamily(name, text, labels=["model", "column"])
            for each in drift:
                if each[key] is not None:
                    gauge.add_metric([self._model, each["column"]], float(each[key]))
            yield gauge
