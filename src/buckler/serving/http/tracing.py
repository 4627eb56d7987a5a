"""OpenTelemetry, where somebody asks for it by its own environment variables."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from buckler.errors import MissingExtraError

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracing:
    """Spans of requests; nothing of any event.

    Raises
    ------
    MissingExtraError
        If an endpoint is named and the extra `otel` is not installed.
    """

    def __init__(self) -> None:
        self._tracer: Any = None
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

    def span(self, method: str, path: str, headers: list[tuple[bytes, bytes]]) -> Any:
        """Return a context for a request, below whatever span its headers name."""
        if self._tracer is None:
            return nullcontext()
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        carrier = {k.decode("latin-1"): v.decode("latin-1") for k, v in headers}
        span: AbstractContextManager[Any] = self._tracer.start_as_current_span(
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
