"""A worker of a Kafka consumer group: events to verdicts, at least once.

A batch is consumed, scored, produced and acknowledged before its offsets are committed. Whatever
fails in between, the worker that takes over repeats the batch: nothing is lost, and some verdicts
may come twice. Their ids (verdict formats) and the header `source` (topic, partition, offset) tell.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from buckler.errors import InputError, SettingsError
from buckler.serving.bundles import LoadedBundle, load_bundle
from buckler.serving.challengers import Challengers
from buckler.serving.json_logging import log_as_json
from buckler.serving.stream.kafka_messages import (
    Counts,
    IncomingMessages,
    OutgoingMessages,
    reason_of,
    score_messages,
)
from buckler.serving.stream.kafka_settings import KafkaSettings

_LOG = logging.getLogger("buckler.stream")
_FLUSH_S = 60.0
_NUMBERS = [field.name for field in fields(Counts) if field.type is int]
_FIRST_BACKOFF_S = 0.5
# A worker must not lose anything; `client` in the settings may change the rest.
_CONSUMER = {"enable.auto.commit": False, "auto.offset.reset": "earliest"}
_PRODUCER = {
    "enable.idempotence": True,
    "linger.ms": 5,
    "compression.type": "lz4",
    "delivery.report.only.error": True,  # what was delivered needs no call of Python
}


class _DeliveryError(Exception):
    """A batch of which not all could be delivered; it is tried again."""


def score_topic(
    bundle: Path, settings: KafkaSettings, trusted_key: Path | None, stop: threading.Event
) -> Counts:
    """Score the events of a topic until `stop` is set, with logs and metrics of a service.

    Raises
    ------
    BucklerError
        If the bundle or the settings cannot be used, or the broker refuses for good.
    """
    log_as_json()
    loaded = load_bundle(bundle, settings.columns, trusted_key, settings.operating_point)
    on_batch = _start_exporter(settings.metrics_port, loaded.name)
    gc.freeze()  # what is loaded stays: a collection for each batch need not walk through it
    return KafkaWorker(loaded, settings, on_batch, stop).run()


class KafkaWorker:
    """Consumes, scores and produces until `stop` is set; then it commits and leaves the group.

    A changed bundle file is taken over between two batches; `on_batch` is called after each commit.
    """

    def __init__(
        self,
        bundle: LoadedBundle,
        settings: KafkaSettings,
        on_batch: Callable[[Counts], None] | None,
        stop: threading.Event,
    ) -> None:
        self.settings, self.counts = settings, Counts()
        self._use(bundle)
        self._challengers = Challengers(settings.challengers, bundle)
        self.counts.challengers = self._challengers.counts
        self._on_batch, self._stop = on_batch, stop
        common = {"bootstrap.servers": settings.brokers, "logger": _LOG, **settings.client}
        try:
            self._consumer = Consumer({**common, **_CONSUMER, "group.id": settings.group})
            self._producer_settings = {**common, **_PRODUCER}
            self._producer = Producer(self._producer_settings)
        except (KafkaException, TypeError, ValueError) as error:
            raise SettingsError(f"kafka: {reason_of(error)}") from error

    def run(self) -> Counts:
        """Work until `stop` is set."""
        self._consumer.subscribe(
            [self.settings.topic], on_assign=_log_partitions, on_revoke=_log_partitions
        )
        try:
            while not self._stop.is_set():
                messages = self._take()
                self._take_over()
                if len(messages):
                    self._work(messages)
        finally:
            self._consumer.close()
            self._producer.flush(_FLUSH_S)
        return self.counts

    def _use(self, bundle: LoadedBundle) -> None:
        self._bundle, self.counts.bundle = bundle, bundle.scorer.sha256
        self._next_look = time.monotonic() + self.settings.reload_s

    def _take_over(self) -> None:
        """Use a newer bundle, if its file changed and it is sound."""
        if not self.settings.reload_s or time.monotonic() < self._next_look:
            return
        before, newer = self._bundle, self._bundle.reload()
        self._use(newer)
        if newer is not before:
            newer.log_reload(_LOG)
            self.counts.reloads += not newer.failure

    def _take(self) -> IncomingMessages:
        """Return the next batch; errors that pass are logged, others raised."""
        try:
            found = self._consumer.consume(self.settings.batch_events, self.settings.batch_s)
        except KafkaException as error:
            raise InputError(f"kafka: {reason_of(error)}") from error
        messages = []
        for message in found:
            wrong = message.error()
            if wrong is None:
                messages.append(message)
            elif wrong.fatal() or wrong.code() in _FOR_GOOD:
                raise InputError(f"kafka: {self.settings.topic}: {wrong.str()}")
            else:
                _LOG.warning("consume", extra={"fields": {"reason": wrong.str()}})
        return IncomingMessages.from_messages(messages)

    def _work(self, messages: IncomingMessages) -> None:
        """Score, produce and commit a batch; if it cannot be delivered, again and again."""
        work = score_messages(messages, self._bundle, self.settings, self.counts)
        backoff = _FIRST_BACKOFF_S
        while True:
            try:
                self._deliver(work.outgoing)
                break
            except _DeliveryError as error:
                self.counts.retries += 1
                _LOG.error("not delivered", extra={"fields": {"reason": str(error)}})
                if self._stop.wait(backoff):
                    return  # not committed: the worker that takes over does it again
                backoff = min(self.settings.backoff_s, backoff * 2)
                self._producer = Producer(self._producer_settings)  # a fatal one stays fatal
        self._commit(messages.ends)
        if self._challengers and work.verdicts is not None:
            self._challengers.score(work.values, work.verdicts)
        self.counts.messages += len(messages)
        self.counts.batches += 1
        for name in ("events", "detections", "dead", "uncertain"):
            setattr(self.counts, name, getattr(self.counts, name) + getattr(work.counts, name))
        if self._on_batch is not None:
            self._measure_lag(messages.ends)
            self._on_batch(self.counts)

    # --- producing and committing ---------------------------------------------------------------

    def _deliver(self, outgoing: Sequence[OutgoingMessages]) -> None:
        """Produce all and wait for every acknowledgement."""
        failed: list[str] = []

        def note_failure(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failed.append(error.str())

        for part in outgoing:
            columns = part.values, part.keys, part.sources, part.header_values
            for value, key, source, content in zip(*columns, strict=True):
                headers = [("source", source.encode()), (part.header, content)]
                self._produce(part.topic, value, key, headers, note_failure)
        left = self._producer.flush(_FLUSH_S)
        if failed or left:
            reason = failed[0] if failed else f"{left} messages are still waiting"
            n_messages = sum(len(part.values) for part in outgoing)
            raise _DeliveryError(f"{len(failed) + left} of {n_messages}: {reason}")

    def _produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: list[tuple[str, bytes]],
        on_delivery: Callable[[KafkaError | None, Message], None],
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, headers=headers, on_delivery=on_delivery)
                return
            except BufferError:  # full: let some go
                self._producer.poll(0.1)
            except KafkaException as error:
                code = error.args[0].code()
                if code != KafkaError.MSG_SIZE_TOO_LARGE or value is None:
                    raise _DeliveryError(reason_of(error)) from error
                # The broker takes no message of this size: say so, and lose no more than its value.
                topic, value = self.settings.dead_letter_topic, None
                headers = [*headers, ("reason", b"too large for the broker")]

    def _commit(self, ends: Mapping[tuple[str, int], int]) -> None:
        offsets = [TopicPartition(topic, part, end) for (topic, part), end in ends.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
            self.counts.commits += 1
        except KafkaException as error:
            # The partitions went to another worker, or the broker is away: done twice, not lost.
            _LOG.warning("not committed", extra={"fields": {"reason": reason_of(error)}})

    def _measure_lag(self, ends: Mapping[tuple[str, int], int]) -> None:
        self.counts.lag |= {part: end for (_, part), end in ends.items()}
        for part, position in list(self.counts.lag.items()):
            partition = TopicPartition(self.settings.topic, part)
            try:
                _, high = self._consumer.get_watermark_offsets(partition, cached=True)
            except KafkaException:
                continue
            self.counts.lag[part] = max(0, high - position) if high > 0 else 0


_FOR_GOOD = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._AUTHENTICATION,
)


def _log_partitions(_: Consumer, partitions: Sequence[TopicPartition]) -> None:
    numbers = sorted(partition.partition for partition in partitions)
    _LOG.info("partitions", extra={"fields": {"partitions": numbers}})


def _start_exporter(port: int, name: str) -> Callable[[Counts], None] | None:
    """Serve the counts to Prometheus on this port of loopback; None for port 0."""
    if not port:
        return None
    registry = CollectorRegistry()

    def gauge(name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(name, help_text, labels, registry=registry)

    numbers = {
        field: gauge(f"buckler_stream_{field}", f"{field} since the start.") for field in _NUMBERS
    }
    lag = gauge("buckler_stream_lag", "Messages behind.", "partition")
    bundle = gauge("buckler_bundle", "1 for the bundle at work.", "bundle", "sha256")
    challengers = gauge(
        "buckler_stream_challenger",
        "Events that a challenger scored too, by who detected them.",
        "challenger",
        "detected_by",
    )
    start_http_server(port, addr="127.0.0.1", registry=registry)

    def update(counts: Counts) -> None:
        for field, number in numbers.items():
            number.set(getattr(counts, field))
        bundle.clear()
        bundle.labels(name, counts.bundle).set(1)
        for challenger, pairs in counts.challengers.items():
            for pair, n in pairs.items():
                challengers.labels(challenger, pair).set(n)
        for partition, behind in counts.lag.items():
            lag.labels(str(partition)).set(behind)

    return update
