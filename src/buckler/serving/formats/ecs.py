"""ECS: the Elastic Common Schema, and its envelope for the bulk interface."""

from typing import cast

from buckler.runtime import Scorer
from buckler.serving.formats import VERDICT_FORMATS, Record, ScoredEvent, event_id, summarize

_VERSION = "8.17.0"
# ECS has a field of its own for the text of some tasks; the rest is `event.original`.
_TEXT_FIELDS = {
    "url-threat": ("url", "full"),
    "url-category": ("url", "full"),
    "command-line": ("process", "command_line"),
}


@VERDICT_FORMATS.add
def ecs(event: ScoredEvent, scorer: Scorer) -> Record:
    """Return an ECS document."""
    manifest = scorer.manifest
    details: Record = {
        "kind": "alert" if event.detected else "event",
        "category": ["threat"],
        "type": ["indicator" if event.detected else "info"],
        "module": "buckler",
        "dataset": f"buckler.{manifest.task}",
        "id": event_id(event, scorer),
        "severity": event.severity,
        "risk_score": round(100 * event.score, 2),
    }
    if event.source:
        details["reference"] = event.source
    record: Record = {
        "@timestamp": event.iso_time,
        "ecs": {"version": _VERSION},
        "event": details,
        "rule": {"name": manifest.name, "uuid": scorer.sha256, "category": event.label},
        "message": summarize(event, scorer),
        "buckler": dict(event.verdict),
    }
    if event.technique:
        record["threat"] = {"framework": "MITRE ATT&CK", "technique": {"id": [event.technique]}}
    if event.text is not None:
        group, field = _TEXT_FIELDS.get(manifest.task, ("event", "original"))
        if group == "event":
            details[field] = event.text
        else:
            record[group] = {field: event.text}
    return record


def bulk_action(record: Record, index: str) -> Record:
    """Return the line that precedes an ECS document in Elasticsearch's and OpenSearch's bulk
    format.

    The identifier is that of the document, so that a batch that is sent twice is stored once.
    """
    details = cast(Record, record["event"])
    return {"create": {"_index": index, "_id": details["id"]}}
