"""A worker of a Kafka consumer group: events to verdicts, at least once.

A batch is consumed, judged, produced and acknowledged before its offsets are committed. Whatever
dies in between, the batch is done again by whoever takes over: nothing is lost, some verdicts may
come twice; their ids (conventions) and the header `source` (topic, partition, offset) tell.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from buckler.errors import InputError, SettingsError
from buckler.serving.challengers import Challengers
from buckler.serving.records import Records, Wish, challenge, judge_values, loads
from buckler.serving.served import Served
from buckler.serving.stream.kafka_settings import KafkaSettings
from buckler.serving.tables import judge_stream, read_stream
from buckler.serving.verdicts import VerdictForm

_LOG = logging.getLogger("buckler.stream")
_FLUSH_S = 60.0
_FIRST_BACKOFF_S = 0.5
_MAX_REASON = 300
# Of a worker that must not lose anything; `client` of the settings may change the rest.
_CONSUMER = {"enable.auto.commit": False, "auto.offset.reset": "earliest"}
_PRODUCER = {"enable.idempotence": True, "linger.ms": 5, "compression.type": "lz4"}


@dataclass
class Counts:
    """What a worker has done; all since it was started."""

    messages: int = 0
    events: int = 0
    detections: int = 0
    dead: int = 0
    uncertain: int = 0
    batches: int = 0
    commits: int = 0
    retries: int = 0
    reloads: int = 0
    bundle: str = ""
    lag: dict[int, int] = field(default_factory=dict)
    shadow: dict[str, Counter[str]] = field(default_factory=dict)


class _Outgoing(NamedTuple):
    topic: str
    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, bytes]]


class _NotDelivered(Exception):  # noqa: N818 - is tried again
    """A batch of which not all could be delivered."""


class KafkaWorker:
    """Consumes, judges and produces until it is told to stop.

    Parameters
    ----------
    served
        The bundle; a changed file is taken over between two batches.
    on_batch
        Called after each commit.
    stop
        Set by whoever wants it to finish the batch at work, commit, and leave the group.

    Raises
    ------
    SettingsError
        If the client's settings make no sense.
    """

    def __init__(
        self,
        served: Served,
        settings: KafkaSettings,
        on_batch: Callable[[Counts], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.settings, self.counts = settings, Counts()
        self._use(served)
        self._challengers = Challengers(settings.challengers, served.scorer, served.trusted_key)
        self.counts.shadow = self._challengers.counts
        self._wish = Wish(VerdictForm(settings.target_fpr, settings.with_text), settings.convention)
        self._on_batch = on_batch
        self._stop = stop if stop is not None else threading.Event()
        common = {"bootstrap.servers": settings.brokers, "logger": _LOG, **settings.client}
        try:
            self._consumer = Consumer({**common, **_CONSUMER, "group.id": settings.group})
            self._producer_settings = {**common, **_PRODUCER}
            self._producer = Producer(self._producer_settings)
        except (KafkaException, TypeError, ValueError) as error:
            raise SettingsError(f"kafka: {_reason(error)}") from error

    def run(self) -> Counts:
        """Work until told to stop.

        Raises
        ------
        InputError
            If the broker refuses for good: an unknown topic, no permission.
        """
        self._consumer.subscribe([self.settings.topic], on_assign=_told, on_revoke=_told)
        try:
            while not self._stop.is_set():
                messages = self._take()
                self._take_over()
                if messages:
                    self._work(messages)
        finally:
            self._consumer.close()
            self._producer.flush(_FLUSH_S)
        return self.counts

    def _use(self, served: Served) -> None:
        self._served, self.counts.bundle = served, served.scorer.sha256
        self._next_look = time.monotonic() + self.settings.reload_s

    def _take_over(self) -> None:
        """Use a newer bundle, if its file changed and it is sound."""
        if not self.settings.reload_s or time.monotonic() < self._next_look:
            return
        before, newer = self._served, self._served.newer()
        self._use(newer)
        if newer is before:
            return
        if newer.failure:
            _LOG.error("reload failed", extra={"fields": {"reason": newer.failure}})
        else:
            self.counts.reloads += 1
            _LOG.info("reloaded", extra={"fields": {"sha256": newer.scorer.sha256}})

    def _take(self) -> list[Message]:
        """Return the next batch; errors that pass are logged, others raised."""
        try:
            found = self._consumer.consume(self.settings.batch_events, self.settings.batch_s)
        except KafkaException as error:
            raise InputError(f"kafka: {_reason(error)}") from error
        messages = []
        for message in found:
            wrong = message.error()
            if wrong is None:
                messages.append(message)
            elif wrong.fatal() or wrong.code() in _FOR_GOOD:
                raise InputError(f"kafka: {self.settings.topic}: {wrong.str()}")
            else:
                _LOG.warning("consume", extra={"fields": {"reason": wrong.str()}})
        return messages

    def _work(self, messages: Sequence[Message]) -> None:
        """Judge, produce and commit a batch; if it cannot be delivered, again and again."""
        outgoing, told, judged = self._judge(messages)
        backoff = _FIRST_BACKOFF_S
        while True:
            try:
                self._deliver(outgoing)
                break
            except _NotDelivered as error:
                self.counts.retries += 1
                _LOG.error("not delivered", extra={"fields": {"reason": str(error)}})
                if self._stop.wait(backoff):
                    return  # not committed: whoever takes over does it again
                backoff = min(self.settings.backoff_s, backoff * 2)
                self._producer = Producer(self._producer_settings)  # a fatal one stays fatal
        self._commit(messages)
        if self._challengers and judged is not None:
            values, made = judged
            fields, target_fpr = self._served.fields, self.settings.target_fpr
            challenge(self._challengers, values, made, fields, target_fpr)
        counts = self.counts
        counts.messages += len(messages)
        counts.events += told.events
        counts.detections += told.detections
        counts.dead += told.dead
        counts.uncertain += told.uncertain
        counts.batches += 1
        if self._on_batch is not None:
            self._measure_lag(messages)
            self._on_batch(counts)

    # --- judging --------------------------------------------------------------------------------

    def _judge(
        self, messages: Sequence[Message]
    ) -> tuple[list[_Outgoing], Counts, tuple[list[Any], Records] | None]:
        """Return what to send, what to count, and what was judged, for challengers."""
        if self.settings.values == "arrow":
            return *self._judge_arrow(messages), None
        if self.settings.values == "text":
            values: list[Any] = [_text(message.value()) for message in messages]
        else:
            values = [loads(message.value() or b"") for message in messages]
        sources, served = [_source(message) for message in messages], self._served
        made = judge_values(values, served.scorer, served.fields, self._wish, sources)
        told = Counts(events=len(messages), detections=made.detections, dead=len(made.errors))
        outgoing = []
        only_detections = self.settings.only_detections
        for row, (message, verdict) in enumerate(zip(messages, made.verdicts, strict=True)):
            if verdict is None:
                outgoing.append(self._dead(message, made.errors.get(row, "not judged")))
            elif verdict["detected"] or not only_detections:
                value = orjson.dumps(made.records[row])
                outgoing.append(self._answer(message, value, sources[row]))
        outgoing += self._uncertain(messages, made, told)
        return outgoing, told, (values, made)

    def _uncertain(
        self, messages: Sequence[Message], made: Records, told: Counts
    ) -> list[_Outgoing]:
        """Send on what the bundle is not sure of, at most the share that may go."""
        settings = self.settings
        if not settings.uncertain_topic:
            return []
        low, high = settings.uncertain
        middle = (low + high) / 2
        rows = [
            (abs(verdict["score"] - middle), row)
            for row, verdict in enumerate(made.verdicts)
            if verdict is not None and low <= verdict["score"] <= high
        ]
        done = self.counts
        room = int(settings.uncertain_share * (done.events + told.events)) - done.uncertain
        chosen = [row for _, row in sorted(rows)[: max(0, room)]]
        told.uncertain = len(chosen)
        return [
            _Outgoing(
                settings.uncertain_topic,
                messages[row].value(),
                messages[row].key(),
                [
                    ("source", _source(messages[row]).encode()),
                    ("score", f"{_score(made, row):.6f}".encode()),
                ],
            )
            for row in sorted(chosen)
        ]

    def _judge_arrow(self, messages: Sequence[Message]) -> tuple[list[_Outgoing], Counts]:
        told, outgoing, served = Counts(), [], self._served
        for message in messages:
            try:
                batches = read_stream(message.value() or b"")
                made = judge_stream(batches, served.scorer, served.fields, self._wish.form)
            except InputError as error:
                told.events += 1
                told.dead += 1
                outgoing.append(self._dead(message, _reason(error)))
                continue
            told.events += made.events
            told.detections += made.detections
            told.dead += made.errors
            outgoing.append(self._answer(message, made.body, _source(message)))
        return outgoing, told

    def _answer(self, message: Message, value: bytes, source: str) -> _Outgoing:
        headers = [("source", source.encode()), ("bundle", self.counts.bundle.encode())]
        return _Outgoing(self.settings.output_topic, value, message.key(), headers)

    def _dead(self, message: Message, reason: str) -> _Outgoing:
        headers = [
            ("source", _source(message).encode()),
            ("reason", reason[:_MAX_REASON].encode("utf-8", "replace")),
        ]
        return _Outgoing(self.settings.dead_letter_topic, message.value(), message.key(), headers)

    # --- producing and committing ---------------------------------------------------------------

    def _deliver(self, outgoing: Sequence[_Outgoing]) -> None:
        """Produce all and wait for every acknowledgement."""
        failed: list[str] = []

        def acknowledged(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failed.append(error.str())

        for each in outgoing:
            self._produce(each, acknowledged)
        left = self._producer.flush(_FLUSH_S)
        if failed or left:
            reason = failed[0] if failed else f"{left} messages are still waiting"
            raise _NotDelivered(f"{len(failed) + left} of {len(outgoing)}: {reason}")

    def _produce(self, each: _Outgoing, acknowledged: Callable[..., None]) -> None:
        while True:
            try:
                self._producer.produce(
                    each.topic, each.value, each.key, headers=each.headers, on_delivery=acknowledged
                )
                return
            except BufferError:  # full: let some go
                self._producer.poll(0.1)
            except KafkaException as error:
                code = error.args[0].code()
                if code != KafkaError.MSG_SIZE_TOO_LARGE or each.value is None:
                    raise _NotDelivered(_reason(error)) from error
                # The broker takes no message of this size: say so, and lose no more than its value.
                reason = ("reason", b"too large for the broker")
                each = _Outgoing(
                    self.settings.dead_letter_topic, None, each.key, [*each.headers, reason]
                )

    def _commit(self, messages: Sequence[Message]) -> None:
        ends: dict[tuple[str, int], int] = {}
        for message in messages:
            ends[message.topic(), message.partition()] = message.offset() + 1
        offsets = [TopicPartition(topic, part, end) for (topic, part), end in ends.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
            self.counts.commits += 1
        except KafkaException as error:
            # The partitions went to another worker, or the broker is away: done twice, not lost.
            _LOG.warning("not committed", extra={"fields": {"reason": _reason(error)}})

    def _measure_lag(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.counts.lag[message.partition()] = message.offset() + 1
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


def _score(made: Records, row: int) -> float:
    verdict = made.verdicts[row]
    return float("nan") if verdict is None else float(verdict["score"])


def _text(value: bytes | None) -> Any:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        return None


def _source(message: Message) -> str:
    return f"{message.topic()}/{message.partition()}/{message.offset()}"


def _told(_: Consumer, partitions: Sequence[TopicPartition]) -> None:
    numbers = sorted(partition.partition for partition in partitions)
    _LOG.info("partitions", extra={"fields": {"partitions": numbers}})


def _reason(error: BaseException) -> str:
    first = error.args[0] if error.args else None
    if isinstance(first, KafkaError):
        return str(first.str())
    text = str(error).splitlines()[0] if str(error) else ""
    return text[:_MAX_REASON] or type(error).__name__
