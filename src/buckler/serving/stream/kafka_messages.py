"""Messages of a Kafka topic: scored, and turned into the messages to send."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from confluent_kafka import KafkaError, Message

from buckler.isolation import EventFault, attempt
from buckler.serving.bundles import LoadedBundle
from buckler.serving.event_values import JsonTexts, Values
from buckler.serving.records import write_records
from buckler.serving.stream.kafka_settings import KafkaSettings
from buckler.serving.verdict_batch import (
    VerdictBatch,
    score_arrow_stream,
    score_values,
    write_arrow_stream,
)

_MAX_REASON = 300
Header: TypeAlias = tuple[str, Sequence[bytes]]  # its name, and its content in each message


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


@dataclass(frozen=True)
class IncomingMessages:
    """Messages of a batch, in columns: an object for each costs more than to score it.

    Attributes
    ----------
    values, keys, sources
        Content of each message, its key, and its origin: topic, partition and offset.
    ends
        (Topic, partition) -> offset behind the last message, which is committed.
    """

    values: list[bytes | None]
    keys: list[bytes | None]
    sources: list[str]
    ends: dict[tuple[str, int], int]

    @classmethod
    def from_messages(cls, messages: Sequence[Message]) -> "IncomingMessages":
        """Return the columns of messages."""
        sources, ends = [], {}
        for message in messages:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            ends[topic, partition] = offset + 1
            sources.append(f"{topic}/{partition}/{offset}")
        values = [message.value() for message in messages]
        return cls(values, [message.key() for message in messages], sources, ends)

    def __len__(self) -> int:
        return len(self.values)

    def answer(
        self, rows: Sequence[int], values: Sequence[bytes | None], topic: str, header: Header
    ) -> "OutgoingMessages":
        """Return answers to some of the messages, with their keys and sources."""
        keys, sources = [self.keys[row] for row in rows], [self.sources[row] for row in rows]
        return OutgoingMessages(topic, values, keys, sources, *header)


class OutgoingMessages(NamedTuple):
    """Messages for one topic, in columns; `header` is one that each has beside its source."""

    topic: str
    values: Sequence[bytes | None]
    keys: Sequence[bytes | None]
    sources: Sequence[str]
    header: str
    header_values: Sequence[bytes]


class ScoredMessages(NamedTuple):
    """Answers to a batch, its counts, and for challengers its events; no verdicts of Arrow
    messages.
    """

    outgoing: list[OutgoingMessages]
    counts: Counts
    values: Values
    verdicts: VerdictBatch | None


def score_messages(
    messages: IncomingMessages, bundle: LoadedBundle, settings: KafkaSettings, before: Counts
) -> ScoredMessages:
    """Score a batch of messages; each gets an answer, or becomes a dead letter.

    Numbers since the start (`before`) bound how many uncertain events may be sent on.
    """
    if settings.values == "arrow":
        return _score_arrow(messages, bundle, settings)
    bodies = [value or b"" for value in messages.values]
    values: Values = list(map(_text, bodies)) if settings.values == "text" else JsonTexts(bodies)
    verdicts = score_values(values, bundle, settings.output)
    rows = verdicts.rows
    if settings.only_detections:
        rows = rows[verdicts.columns["detected"].to_numpy(zero_copy_only=False)]
    answers = write_records(
        verdicts, bundle.scorer, settings.output, rows=rows, sources=messages.sources
    )
    outgoing = [
        _answers(messages, rows.tolist(), answers, bundle, settings),
        _dead_letters(messages, verdicts.errors, settings),
    ]
    counts = Counts(events=len(messages), detections=verdicts.detections, dead=len(verdicts.errors))
    if settings.uncertain_topic:
        allowed = int(settings.uncertain_share * (before.events + counts.events))
        uncertain = _uncertain(messages, verdicts, settings, allowed - before.uncertain)
        counts.uncertain = len(uncertain.values)
        outgoing.append(uncertain)
    return ScoredMessages(outgoing, counts, values, verdicts)


def _score_arrow(
    messages: IncomingMessages, bundle: LoadedBundle, settings: KafkaSettings
) -> ScoredMessages:
    counts = Counts()
    answers: dict[int, bytes] = {}
    faults: dict[int, str] = {}
    for row, value in enumerate(messages.values):
        found = attempt(
            lambda body: score_arrow_stream(body, bundle, settings.output), value or b""
        )
        if isinstance(found, EventFault):
            counts.events += 1
            counts.dead += 1
            faults[row] = found.reason
            continue
        counts.events += sum(verdicts.size for verdicts in found)
        counts.detections += sum(verdicts.detections for verdicts in found)
        counts.dead += sum(verdicts.size - len(verdicts.rows) for verdicts in found)
        answers[row] = write_arrow_stream(found)
    outgoing = [
        _answers(messages, list(answers), list(answers.values()), bundle, settings),
        _dead_letters(messages, faults, settings),
    ]
    return ScoredMessages(outgoing, counts, [], None)


def _answers(
    messages: IncomingMessages,
    rows: list[int],
    answers: Sequence[bytes],
    bundle: LoadedBundle,
    settings: KafkaSettings,
) -> OutgoingMessages:
    digests = [bundle.scorer.sha256.encode()] * len(rows)
    return messages.answer(rows, answers, settings.output_topic, ("bundle", digests))


def _uncertain(
    messages: IncomingMessages, verdicts: VerdictBatch, settings: KafkaSettings, allowed: int
) -> OutgoingMessages:
    """Return the events of which the bundle is least sure, as many as are allowed."""
    low, high = settings.uncertain
    middle = (low + high) / 2
    scores = verdicts.align("score").to_pylist()
    by_distance = sorted(
        (abs(score - middle), row)
        for row, score in enumerate(scores)
        if score is not None and low <= score <= high
    )
    rows = sorted(row for _, row in by_distance[: max(0, allowed)])
    header = ("score", [f"{scores[row]:.6f}".encode() for row in rows])
    values = [messages.values[row] for row in rows]
    return messages.answer(rows, values, settings.uncertain_topic, header)


def _dead_letters(
    messages: IncomingMessages, errors: Mapping[int, str], settings: KafkaSettings
) -> OutgoingMessages:
    rows = sorted(errors)
    reasons = [errors[row][:_MAX_REASON].encode("utf-8", "replace") for row in rows]
    values = [messages.values[row] for row in rows]
    return messages.answer(rows, values, settings.dead_letter_topic, ("reason", reasons))


def _text(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def reason_of(error: BaseException) -> str:
    """Return the reason of an error in one line."""
    first = error.args[0] if error.args else None
    if isinstance(first, KafkaError):
        return str(first.str())
    text = str(error).splitlines()[0] if str(error) else ""
    return text[:_MAX_REASON] or type(error).__name__
