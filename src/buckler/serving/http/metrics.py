"""Metrics for Prometheus; they hold nothing of any event."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "buckler_requests", "Requests.", ("path", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "buckler_request_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.events = Counter("buckler_events", "Events.", ("bundle",), registry=self.registry)
        self.detections = Counter(
            "buckler_detections", "Detections.", ("bundle",), registry=self.registry
        )
        self.errors = Counter(
            "buckler_event_errors", "Events that could not be scored.", ("bundle",),
            registry=self.registry,
        )  # fmt: skip
        self.refused = Counter(
            "buckler_refused", "Requests refused.", ("reason",), registry=self.registry
        )
        self.in_flight = Gauge("buckler_in_flight", "Requests at work.", registry=self.registry)
        self.reloads = Counter(
            "buckler_reloads", "Changed bundle files.", ("bundle", "result"), registry=self.registry
        )
        self.bundle = Gauge(
            "buckler_bundle", "1 for each bundle that is served.", ("bundle", "task", "sha256"),
            registry=self.registry,
        )  # fmt: skip

    def page(self) -> bytes:
        """Return all of it as text."""
        return generate_latest(self.registry)
