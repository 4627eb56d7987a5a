"""Verdict formats: verdicts as records that other tools read, such as OCSF, ECS and alerts.

A format is one function: a verdict with what is known of its event in, a JSON object out. Nothing
of the event enters a record but what the caller gives.

To add a format, write one module with one function under ``@VERDICT_FORMATS.add``, named like the
format: here, or in another package under an entry point of the group ``buckler.formats``.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import NamedTuple, TypeAlias, cast

from buckler.readers.event_fields import EventFields
from buckler.registry import Registry
from buckler.runtime import Scorer

NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # of URLs, RFC 4122

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Record: TypeAlias = "dict[str, Json]"


class ScoredEvent(NamedTuple):
    """A verdict with what is known of its event.

    Attributes
    ----------
    verdict, time_s
        label, score, detected and further answers of the bundle, by name; their time, in seconds
        since 1970.
    text, source
        Event itself, None where the record must not hold it; its origin, such as a file and row or
        a topic and offset.
    own, kept
        Time, host, user, process and addresses as the event's log has them; fields that the user
        asked to repeat, by name.
    """

    verdict: Mapping[str, Json]
    time_s: float
    text: bytes | None = None
    source: str = ""
    own: EventFields = EventFields()
    kept: Mapping[str, Json] = MappingProxyType({})

    @property
    def label(self) -> str:
        """Name of the most probable class."""
        return str(self.verdict["label"])

    @property
    def score(self) -> float:
        """Probability of the positive classes together."""
        return cast(float, self.verdict["score"])

    @property
    def detected(self) -> bool:
        """True for a detection."""
        return bool(self.verdict["detected"])

    @property
    def readable(self) -> str | None:
        """The event as text; its fields stand in lines."""
        return None if self.text is None else as_readable_text(self.text)

    @property
    def technique(self) -> str | None:
        """ATT&CK technique, where the bundle names one."""
        technique = self.verdict.get("technique")
        return str(technique) if technique else None

    @property
    def because(self) -> str:
        """Reason of the verdict in one sentence; empty where none was asked for."""
        return str(self.verdict.get("because", ""))

    @property
    def iso_time(self) -> str:
        """Time of the verdict in ISO 8601, UTC."""
        return iso_time(self.time_s)

    @property
    def event_iso_time(self) -> str:
        """Time of the event in ISO 8601, UTC; that of the verdict where it is unknown."""
        return iso_time(self.time_s if self.own.time_s is None else self.own.time_s)

    @property
    def severity(self) -> int:
        """Severity as OCSF numbers it: 1 without a detection, else 2 to 4 by score."""
        if not self.detected:
            return 1
        return 4 if self.score >= 0.9 else 3 if self.score >= 0.5 else 2


VerdictFormat = Callable[[ScoredEvent, Scorer], Record]
VERDICT_FORMATS: Registry[VerdictFormat] = Registry(
    "verdict format", (__name__,), "buckler.formats", attrgetter("__name__")
)


def event_id(event: ScoredEvent, scorer: Scorer) -> str:
    """Return an identifier of a verdict: the same where an event with a source is sent twice."""
    own = event.own
    parts = [scorer.sha256, event.source, event.readable, event.label, event.score]
    parts += [own.time_s, own.host, own.record_id, own.flow_id, own.process_guid]
    if not event.source and own.time_s is None:
        parts.append(event.time_s)
    return str(uuid.uuid5(NAMESPACE, " ".join(map(str, parts))))


def summarize(event: ScoredEvent, scorer: Scorer) -> str:
    """Return the verdict in one line."""
    outcome = "detected" if event.detected else "no detection"
    return f"{scorer.manifest.task}: {event.label} ({outcome}, score {event.score:.4f})"


def as_readable_text(text: bytes) -> str:
    """Return an event as text; its fields stand in lines."""
    return text.decode("utf-8", "replace").replace("\x1f", "\n").rstrip("\n")


def without_empty(values: Mapping[str, Json]) -> Record:
    """Return the values that are known."""
    return {name: value for name, value in values.items() if value not in (None, "", {}, [])}


@lru_cache(maxsize=16)  # a batch has one time
def iso_time(seconds: float) -> str:
    """Return a time in ISO 8601, UTC."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
