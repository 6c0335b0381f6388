"""OpenTelemetry traces, as an option: one span for each scoring request, a child of the caller's where ``traceparent`` says so.

Off unless OTEL_TRACES_EXPORTER is set: ``console``, or ``otlp`` with the package opentelemetry-exporter-otlp-proto-http and OpenTelemetry's
usual variables (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, ...). Names are those of OpenTelemetry's conventions
for HTTP servers.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jobs.contracts.errors import SetupError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

VARIABLE = "OTEL_TRACES_EXPORTER"


class Tracing:
    """Makes spans after the fact, so that a request without one pays nothing."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, Status, StatusCode

        self._provider, self._extract = provider, extract
        self._tracer = provider.get_tracer("seatrial.serve")
        self._kind, self._error = SpanKind.SERVER, Status(StatusCode.ERROR)

    def record(self, headers: Mapping[bytes, bytes], method: str, route: str, status: int, seconds: float, attributes: dict[str, Any]) -> None:
        """A span that ends now."""
        carrier = {name: headers[name.encode()].decode("latin-1") for name in ("traceparent", "tracestate") if name.encode() in headers}
        ended = time.time_ns()
        given = {"http.request.method": method, "http.route": route, "http.response.status_code": status, **attributes}
        span = self._tracer.start_span(f"{method} {route}", self._extract(carrier), kind=self._kind, attributes=given, start_time=ended - int(seconds * 1e9))
        if status >= 500:
            span.set_status(self._error)
        span.end(ended)

    def stop(self) -> None:
        """Send what waits."""
        self._provider.shutdown()


def from_environment(environment: Mapping[str, str] = os.environ) -> Tracing | None:
    """Errors: SetupError when the exporter is not known or not installed."""
    wanted = environment.get(VARIABLE, "none")
    if wanted in ("", "none"):
        return None
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise SetupError("opentelemetry-sdk is not installed", where=VARIABLE, hint="pip install opentelemetry-sdk") from error
    provider = TracerProvider(resource=Resource.create({"service.name": environment.get("OTEL_SERVICE_NAME", "seatrial")}))
    provider.add_span_processor(BatchSpanProcessor(_exporter(wanted)))
    return Tracing(provider)


def _exporter(wanted: str) -> SpanExporter:
    if wanted == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter()
    if wanted == "otlp":
        try:
            exporters = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        except ModuleNotFoundError as error:
            hint = "pip install opentelemetry-exporter-otlp-proto-http"
            raise SetupError("the OTLP exporter is not installed", where=VARIABLE, hint=hint) from error
        return exporters.OTLPSpanExporter()  # type: ignore[no-any-return]
    raise SetupError(f"{wanted!r} is not known", where=VARIABLE, hint="it may be none, console or otlp")
