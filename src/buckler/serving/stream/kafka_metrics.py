"""Metrics of a Kafka worker for Prometheus."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, start_http_server

if TYPE_CHECKING:
    from buckler.serving.stream.kafka_messages import Counts

_NAMES = (
    "messages",
    "events",
    "detections",
    "dead",
    "uncertain",
    "batches",
    "commits",
    "retries",
    "reloads",
)


def start_exporter(port: int, name: str) -> "Callable[[Counts], None] | None":
    """Serve the counts of a worker on this port of loopback; None for port 0."""
    if not port:
        return None
    registry = CollectorRegistry()
    known = {
        name: Gauge(f"buckler_stream_{name}", f"{name} since the start.", registry=registry)
        for name in _NAMES
    }
    lag = Gauge("buckler_stream_lag", "Messages behind.", ("partition",), registry=registry)
    bundle = Gauge(
        "buckler_bundle", "1 for the bundle at work.", ("bundle", "sha256"), registry=registry
    )
    challengers = Gauge(
        "buckler_stream_challenger",
        "Events that a challenger scored too, by who detected them.",
        ("challenger", "detected_by"),
        registry=registry,
    )
    start_http_server(port, addr="127.0.0.1", registry=registry)

    def update(counts: "Counts") -> None:
        for field, gauge in known.items():
            gauge.set(getattr(counts, field))
        bundle.clear()
        bundle.labels(name, counts.bundle).set(1)
        for challenger, pairs in counts.challengers.items():
            for pair, n in pairs.items():
                challengers.labels(challenger, pair).set(n)
        for partition, behind in counts.lag.items():
            lag.labels(str(partition)).set(behind)

    return update
