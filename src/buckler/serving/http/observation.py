"""Observation of requests: logs, Prometheus metrics and OpenTelemetry spans; nothing of any
event.
"""

import logging
import os
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from buckler.errors import MissingExtraError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_LOG = logging.getLogger("buckler.serve")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PATHS = ("/v1/score", "/v1/models", "/healthz", "/readyz", "/metrics", "/openapi.json")


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.seconds = Histogram(
            "buckler_request_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("buckler_in_flight", "Requests at work.", registry=registry)

        def counter(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(f"buckler_{name}", help_text, labels, registry=registry)

        self.requests = counter("requests", "Requests.", "path", "status")
        self.events = counter("events", "Events.", "bundle")
        self.detections = counter("detections", "Detections.", "bundle")
        self.errors = counter("event_errors", "Events that could not be scored.", "bundle")
        self.refused = counter("refused", "Requests refused.", "reason")
        self.reloads = counter("reloads", "Changed bundle files.", "bundle", "result")
        self.shadow = counter(
            "shadow",
            "Events that a challenger scored too, by who detected them.",
            "bundle",
            "challenger",
            "detected_by",
        )
        self.shadow_left_out = counter(
            "shadow_left_out", "Requests that challengers did not score: too busy."
        )
        self.bundle = Gauge(
            "buckler_bundle",
            "1 for each bundle that is served.",
            ("bundle", "task", "sha256"),
            registry=registry,
        )


class Tracing:
    """Spans of requests; nothing of any event.

    Raises
    ------
    MissingExtraError
        If an endpoint is named and the extra `otel` is not installed.
    """

    def __init__(self) -> None:
        self._tracer: Tracer | None = None
        if not any(os.environ.get(name) for name in _ENDPOINTS):
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise MissingExtraError("OpenTelemetry", "otel") from error
        name = os.environ.get("OTEL_SERVICE_NAME", "buckler")
        self._provider = TracerProvider(resource=Resource.create({"service.name": name}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("buckler")

    def span(
        self, method: str, path: str, headers: list[tuple[bytes, bytes]]
    ) -> "AbstractContextManager[Span | None]":
        """Return a context for a request, below whatever span its headers name."""
        if self._tracer is None:
            return nullcontext()
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        carrier = {k.decode("latin-1"): v.decode("latin-1") for k, v in headers}
        span: AbstractContextManager[Span | None] = self._tracer.start_as_current_span(
            f"{method} {path}",
            context=extract(carrier),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.path": path},
        )
        return span

    def close(self) -> None:
        """Send what is left."""
        if self._tracer is not None:
            self._provider.shutdown()


class RequestObserver:
    """Middleware that counts, times, traces and logs every request."""

    def __init__(self, app: ASGIApp, metrics: Metrics, tracing: Tracing) -> None:
        self.app, self.metrics, self.tracing = app, metrics, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        scope.setdefault("state", {})["log_fields"] = {}

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        path = scope["path"] if scope["path"] in _PATHS else "other"
        try:
            with self.tracing.span(scope["method"], path, scope["headers"]) as span:
                await self.app(scope, receive, send_and_note)
                if span is not None:
                    span.set_attribute("http.response.status_code", status)
        finally:
            seconds = time.perf_counter() - started
            self.metrics.requests.labels(path, str(status)).inc()
            self.metrics.seconds.labels(path).observe(seconds)
            if path == "/v1/score" or status >= 400:
                fields = {"path": path, "status": status, "ms": round(seconds * 1e3, 3)}
                level = logging.WARNING if status >= 500 else logging.INFO
                _LOG.log(level, "request", extra={"fields": fields | scope["state"]["log_fields"]})
