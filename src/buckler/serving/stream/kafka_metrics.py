"""What Prometheus is told of a Kafka worker."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge, start_http_server

if TYPE_CHECKING:
    from buckler.serving.stream.kafka import Counts

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


def exporter(port: int, name: str) -> "Callable[[Counts], None] | None":
    """Serve the counts of a worker on this port of loopback; None for port 0."""
    if not port:
        return None
    registry = CollectorRegistry()
    known = {
        name: Gauge(f"buckler_stream_{name}", f"{name} since the start.", registry=registry)
        for name in _NAMES
    }
    lag = Gauge("buckler_stream_lag", "Messages behind.", ("partition",), registry=registry)
    bundle = Gauge("buckler_bundle", "1.", ("bundle", "sha256"), registry=registry)
    shadow = Gauge(
        "buckler_stream_challenger",
        "Events that a challenger judged too, by who raised a detection.",
        ("challenger", "detected_by"),
        registry=registry,
    )
    start_http_server(port, addr="127.0.0.1", registry=registry)

    def tell(counts: "Counts") -> None:
        for what, gauge in known.items():
            gauge.set(getattr(counts, what))
        bundle.clear()
        bundle.labels(name, counts.bundle).set(1)
        for challenger, pairs in counts.shadow.items():
            for pair, n in pairs.items():
                shadow.labels(challenger, pair).set(n)
        for partition, behind in counts.lag.items():
            lag.labels(str(partition)).set(behind)

    return tell
