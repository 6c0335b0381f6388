"""What Prometheus reads of the rollout, drift and the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from jobs.control.rollout.record import Mode, Rollout
from jobs.control.rollout.standing import Standing
from serve.asgi import Application
from serve.rollout.opening import add_gauges
from serve.rollout.traffic import RolloutTraffic
from serve.watching.gauges import WatchCollector
from serve.watching.live_drift import LiveDrift
from serve.watching.prediction_log import PredictionLog
from serve.watching.settings import LogSettings
from tests.serve.conftest import Published, call
from tests.serve.rollout.conftest import Answer, answers


def test_prometheus_reads_them(published: Published, tmp_path: Path) -> None:
    standing = Standing(Rollout(revision=4, mode=Mode.CANARY, champion="1", challenger="2", percent=40), published.version(1), published.version(2))
    watchers = [LiveDrift(), PredictionLog(LogSettings(folder=str(tmp_path)), "parcels", "a")]
    traffic = RolloutTraffic("parcels", lambda: standing, watchers=watchers)
    registry = CollectorRegistry()
    registry.register(WatchCollector("parcels", traffic.state))
    assert scrape(registry)["seatrial_answers_unseen_total", "parcels"] == 0  # before there is a model
    traffic.refresh()
    for answer in answers(traffic.choose, 400, shift=30):
        traffic.after(answer)
    model = traffic.live
    assert model is not None
    traffic.after(Answer("bad", model, status=422))
    traffic.look()
    traffic.stop()
    found = scrape(registry)
    assert found["seatrial_rollout_step", "parcels", "canary"] == 4
    assert found["seatrial_rollout_percent", "parcels", "2"] == 40
    assert found["seatrial_rollout_failed_ratio", "parcels", "1", "champion"] == pytest.approx(1 / 240, rel=0.2)
    assert found["seatrial_drifted", "parcels", "size"] == 1
    assert found["seatrial_drifted", "parcels", "color"] == 0
    assert found["seatrial_drift_psi", "parcels", "size"] > 1
    assert ("seatrial_drift_ks", "parcels", "color") not in found
    assert found["seatrial_prediction_log_rows_total", "parcels", "written"] == 400


def test_they_are_among_the_applications_metrics(published: Published) -> None:
    standing = Standing(Rollout(revision=4, champion="1"), published.version(1))
    application = Application(RolloutTraffic("parcels", lambda: standing))
    add_gauges(application)
    application.slot.refresh()
    text = call(application, "GET", "/metrics").body.decode()
    assert 'seatrial_rollout_step{mode="full",model="parcels"} 4.0' in text
    assert "http_server_request_duration_seconds" in text


def test_a_service_without_a_rollout_has_none() -> None:
    registry = CollectorRegistry()
    registry.register(WatchCollector("parcels", dict))
    assert scrape(registry) == {}


def scrape(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """By name and the values of the labels, in order of the labels' names in the module's docstring."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = [sample for family in families for sample in family.samples]
    order = ("model", "mode", "version", "column", "result", "role")
    return {(each.name, *(each.labels[label] for label in order if label in each.labels)): each.value for each in samples}
