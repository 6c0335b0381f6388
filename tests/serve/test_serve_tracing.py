"""Traces: off unless asked for; a span per scoring request, below the caller's."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jobs.contracts.errors import SetupError
from serve import tracing
from serve.asgi import Application
from serve.tracing import Tracing
from tests.serve.conftest import ROW, call

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_span_says_what_happened_and_whose_child_it_is(app: Application) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app._notes._tracing = Tracing(provider)
    call(app, "POST", "/predict", [ROW, ROW], {"traceparent": CALLER, "x-request-id": "order-7"})
    call(app, "GET", "/v2")  # looking at the server is not traced
    call(app, "POST", "/predict", b"{")
    first, second = exporter.get_finished_spans()
    assert first.name == "POST /predict"
    assert first.attributes is not None
    assert dict(first.attributes) == {
        "http.request.method": "POST", "http.route": "/predict", "http.response.status_code": 200,
        "seatrial.model": "parcels", "seatrial.version": "1", "seatrial.rows": 2, "seatrial.request_id": "order-7",
    }  # fmt: skip
    assert first.parent is not None
    assert f"{first.context.trace_id:032x}" == CALLER.split("-")[1]
    assert f"{first.parent.span_id:016x}" == CALLER.split("-")[2]
    assert first.end_time is not None
    assert first.start_time is not None
    assert 0 < first.end_time - first.start_time < 5e9
    assert second.parent is None
    app._notes._tracing.stop()


def test_off_by_default(app: Application) -> None:
    assert app._notes._tracing is None
    assert tracing.from_environment({tracing.VARIABLE: "none"}) is None


def test_the_console_and_what_is_not_known() -> None:
    console = tracing.from_environment({tracing.VARIABLE: "console"})
    assert console is not None
    console.stop()
    with pytest.raises(SetupError, match="'zipkin' is not known"):
        tracing.from_environment({tracing.VARIABLE: "zipkin"})
