"""Messages of a Kafka topic: scored, and turned into the messages to send."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson
from confluent_kafka import KafkaError, Message

from buckler.isolation import EventFault, attempt
from buckler.serving.bundles import LoadedBundle
from buckler.serving.records import to_records
from buckler.serving.stream.kafka_settings import KafkaSettings
from buckler.serving.verdict_batch import (
    VerdictBatch,
    parse_json_lines,
    score_arrow_stream,
    score_values,
    write_arrow_stream,
)

_MAX_REASON = 300


@dataclass
class Counts:
    """Numbers since the worker was started.

    Attributes
    ----------
    messages, events, detections, dead, uncertain
        Messages consumed; events in them; detections, dead letters and uncertain events.
    batches, commits, retries, reloads
        Batches done, commits, batches tried again, and bundles taken over.
    bundle, lag, challengers
        Digest of the bundle at work; partition -> messages behind; challenger -> number of events
        by who detected them.
    """

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
    challengers: dict[str, Counter[str]] = field(default_factory=dict)


class OutgoingMessage(NamedTuple):
    """A message to send."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, bytes]]


class ScoredMessages(NamedTuple):
    """Answers to a batch, its counts, and for challengers its events; no verdicts of Arrow
    messages.
    """

    outgoing: list[OutgoingMessage]
    counts: Counts
    values: list[object]
    verdicts: VerdictBatch | None


def score_messages(
    messages: Sequence[Message], bundle: LoadedBundle, settings: KafkaSettings, before: Counts
) -> ScoredMessages:
    """Score a batch of messages; each gets an answer, or becomes a dead letter.

    Numbers since the start (`before`) bound how many uncertain events may be sent on.
    """
    if settings.values == "arrow":
        return _score_arrow(messages, bundle, settings)
    if settings.values == "text":
        values: list[object] = [_text(message.value()) for message in messages]
    else:
        values = parse_json_lines([message.value() or b"" for message in messages])
    sources = [_source(message) for message in messages]
    verdicts = score_values(values, bundle, settings.output)
    records = to_records(verdicts, bundle.scorer, settings.output, sources=sources)
    counts = Counts(events=len(messages), detections=verdicts.detections, dead=len(verdicts.errors))
    outgoing, header = [], ("bundle", bundle.scorer.sha256.encode())
    for row, (message, detected) in enumerate(zip(messages, verdicts.detected, strict=True)):
        if detected is None:
            outgoing.append(_dead_letter(message, verdicts.errors[row], settings))
        elif detected or not settings.only_detections:
            value = orjson.dumps(records[row])
            outgoing.append(_answer(message, sources[row], settings.output_topic, value, header))
    if settings.uncertain_topic:
        allowed = int(settings.uncertain_share * (before.events + counts.events))
        uncertain = _uncertain(messages, verdicts, settings, allowed - before.uncertain)
        counts.uncertain = len(uncertain)
        outgoing += uncertain
    return ScoredMessages(outgoing, counts, values, verdicts)


def _score_arrow(
    messages: Sequence[Message], bundle: LoadedBundle, settings: KafkaSettings
) -> ScoredMessages:
    counts, outgoing, header = Counts(), [], ("bundle", bundle.scorer.sha256.encode())
    for message in messages:
        found = attempt(
            lambda body: score_arrow_stream(body, bundle, settings.output), message.value() or b""
        )
        if isinstance(found, EventFault):
            counts.events += 1
            counts.dead += 1
            outgoing.append(_dead_letter(message, found.reason, settings))
            continue
        counts.events += sum(verdicts.size for verdicts in found)
        counts.detections += sum(verdicts.detections for verdicts in found)
        counts.dead += sum(verdicts.size - len(verdicts.rows) for verdicts in found)
        value = write_arrow_stream(found)
        outgoing.append(_answer(message, _source(message), settings.output_topic, value, header))
    return ScoredMessages(outgoing, counts, [], None)


def _uncertain(
    messages: Sequence[Message], verdicts: VerdictBatch, settings: KafkaSettings, allowed: int
) -> list[OutgoingMessage]:
    """Return the events of which the bundle is least sure, as many as are allowed."""
    low, high = settings.uncertain
    middle = (low + high) / 2
    scores = verdicts.align("score").to_pylist()
    by_distance = sorted(
        (abs(score - middle), row)
        for row, score in enumerate(scores)
        if score is not None and low <= score <= high
    )
    return [
        _answer(
            messages[row],
            _source(messages[row]),
            settings.uncertain_topic,
            messages[row].value(),
            ("score", f"{scores[row]:.6f}".encode()),
        )
        for row in sorted(row for _, row in by_distance[: max(0, allowed)])
    ]


def _dead_letter(message: Message, reason: str, settings: KafkaSettings) -> OutgoingMessage:
    header = ("reason", reason[:_MAX_REASON].encode("utf-8", "replace"))
    topic = settings.dead_letter_topic
    return _answer(message, _source(message), topic, message.value(), header)


def _answer(
    message: Message, source: str, topic: str, value: bytes | None, header: tuple[str, bytes]
) -> OutgoingMessage:
    """Return a message with the key and the source of another, and one more header."""
    return OutgoingMessage(topic, value, message.key(), [("source", source.encode()), header])


def _text(value: bytes | None) -> str | None:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        return None


def _source(message: Message) -> str:
    return f"{message.topic()}/{message.partition()}/{message.offset()}"


def reason_of(error: BaseException) -> str:
    """Return the reason of an error in one line."""
    first = error.args[0] if error.args else None
    if isinstance(first, KafkaError):
        return str(first.str())
    text = str(error).splitlines()[0] if str(error) else ""
    return text[:_MAX_REASON] or type(error).__name__
