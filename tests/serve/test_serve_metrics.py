"""``/metrics``: what a scraper reads after some requests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serve.asgi import Application
from serve.metrics import SHARES, Counts
from tests.serve.conftest import ROW, call

Labels = dict[str, str]


def scrape(app: Application, accept: str = "") -> dict[str, list[tuple[Labels, float]]]:
    text = call(app, "GET", "/metrics", headers={"accept": accept}).body.decode()
    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def value(found: dict[str, list[tuple[Labels, float]]], name: str, **labels: str) -> float:
    return sum(number for given, number in found.get(name, []) if labels.items() <= given.items())


def test_requests_by_route_version_and_status(app: Application) -> None:
    for body in (ROW, [ROW] * 3, {"color": 3}):
        call(app, "POST", "/predict", body)
    call(app, "GET", "/v2/models/parcels/versions/1")
    call(app, "BREW", "/no/such/path")
    found, name = scrape(app), "http_server_request_duration_seconds_count"
    assert value(found, name, http_route="/predict", http_response_status_code="200", model="parcels", model_version="1") == 2
    assert value(found, name, http_route="/predict", http_response_status_code="400") == 1
    assert value(found, name, http_route="/v2/models/{name}") == 1
    assert value(found, name, http_route="other", http_request_method="_OTHER", http_response_status_code="404") == 1
    assert value(found, "http_server_request_duration_seconds_bucket", http_route="/predict", le="+Inf") == 3
    assert 0 < value(found, "http_server_request_duration_seconds_sum", http_route="/predict") < 3
    assert value(found, "http_server_active_requests") == 1  # the scrape itself


def test_rows_batches_and_predictions(app: Application) -> None:
    for body in (ROW, [ROW] * 3, {"color": 3}):
        reply = call(app, "POST", "/predict", body)
    probability = call(app, "POST", "/predict", ROW).json["predictions"][0]["probability"]
    assert reply.status == 400
    found, version = scrape(app), {"model": "parcels", "model_version": "1"}
    assert value(found, "seatrial_rows_total", **version) == 5
    assert value(found, "seatrial_batch_rows_count", **version) == 3
    assert value(found, "seatrial_batch_rows_bucket", le="1.0") == 2
    assert value(found, "seatrial_prediction_count", **version) == 5
    assert value(found, "seatrial_prediction_sum", **version) == pytest.approx(5 * probability, abs=1e-5)
    below, above = (str(share) for share in (SHARES[int(probability * 20) - 1], SHARES[int(probability * 20)]))
    assert (value(found, "seatrial_prediction_bucket", le=below), value(found, "seatrial_prediction_bucket", le=above)) == (0, 5)
    assert value(found, "model_infer_request_success_total", model_name="parcels", model_version="1") == 3
    assert value(found, "model_infer_request_failure_total", model_name="parcels", model_version="1") == 1


def test_the_loaded_version(app: Application, empty_app: Application) -> None:
    model = app.slot.live
    info = {"model": "parcels", "model_version": "1", "bundle": model.fingerprint, "role": "champion"}
    assert scrape(app)["seatrial_model_info"] == [(info, 1)]
    assert "seatrial_model_info" not in scrape(empty_app)


def test_collectors_of_others_are_scraped_too(app: Application) -> None:
    from prometheus_client import Gauge

    Gauge("of_somebody_else", "", registry=app.metrics.registry).set(7)
    assert value(scrape(app), "of_somebody_else") == 7


def test_openmetrics_for_those_who_ask(app: Application) -> None:
    reply = call(app, "GET", "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert reply.body.endswith(b"# EOF\n")


@pytest.mark.parametrize("values", [[], [0.0], [0.05, 0.051, 1.0, 1.5], np.linspace(0, 1, 101).tolist()])
def test_one_by_one_and_all_at_once_count_alike(values: list[Any]) -> None:
    one, all_at_once = Counts(SHARES), Counts(SHARES)
    for each in values:
        one.add(each)
    all_at_once.add_all(np.array(values, np.float64))
    assert (one.buckets, one.count) == (all_at_once.buckets, len(values))
    assert one.total == pytest.approx(all_at_once.total)
