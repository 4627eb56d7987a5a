"""Alerts as Sigma tools write them."""

import uuid

from buckler.runtime import Scorer
from buckler.serving.formats import NAMESPACE, VERDICT_FORMATS, Record, ScoredEvent, without_empty

_LEVELS = ("informational", "informational", "low", "medium", "high")


@VERDICT_FORMATS.add
def alert(event: ScoredEvent, scorer: Scorer) -> Record:
    """Return an alert: a rule with title, identifier, level and tags, and the event.

    `fields` names what the event's log knows, as `EventFields` does, and what is kept.
    """
    manifest = scorer.manifest
    tags = [f"buckler.{manifest.task}"]
    if event.technique:
        tags.append(f"attack.{event.technique.lower()}")
    record: Record = {
        "timestamp": event.event_iso_time,
        "rule": {
            "title": f"{manifest.name}: {event.label}",
            "id": str(uuid.uuid5(NAMESPACE, scorer.sha256)),
            "level": _LEVELS[event.severity],
            "tags": [*tags],
        },
        "verdict": dict(event.verdict),
    }
    if event.text is not None:
        record["event"] = event.readable
    if event.source:
        record["source"] = event.source
    commands = {"command_line", "parent_command_line"} if event.text is None else set()
    known = {name: value for name, value in vars(event.own).items() if name not in commands}
    if fields := without_empty({**known, "time_s": None, **event.kept}):
        record["fields"] = fields
    return record
