"""Alerts as Sigma tools write them."""

import uuid

from buckler.runtime import Scorer
from buckler.serving.formats import NAMESPACE, VERDICT_FORMATS, Record, ScoredEvent

_LEVELS = ("informational", "informational", "low", "medium", "high")


@VERDICT_FORMATS.add
def alert(event: ScoredEvent, scorer: Scorer) -> Record:
    """Return an alert: a rule with title, identifier, level and tags, and the event."""
    manifest = scorer.manifest
    tags = [f"buckler.{manifest.task}"]
    if event.technique:
        tags.append(f"attack.{event.technique.lower()}")
    record: Record = {
        "timestamp": event.iso_time,
        "rule": {
            "title": f"{manifest.name}: {event.label}",
            "id": str(uuid.uuid5(NAMESPACE, scorer.sha256)),
            "level": _LEVELS[event.severity],
            "tags": [*tags],
        },
        "verdict": dict(event.verdict),
    }
    if event.text is not None:
        record["event"] = event.text
    if event.source:
        record["source"] = event.source
    return record
