"""ECS: the Elastic Common Schema, and its envelope for the bulk interface."""

from ntpath import basename
from typing import cast

from buckler.readers.event_fields import EventFields
from buckler.runtime import Scorer
from buckler.serving.formats import (
    VERDICT_FORMATS,
    Record,
    ScoredEvent,
    event_id,
    summarize,
    without_empty,
)

_VERSION = "8.17.0"


@VERDICT_FORMATS.add
def ecs(event: ScoredEvent, scorer: Scorer) -> Record:
    """Return an ECS document, at the time of the event where it is known."""
    manifest, own = scorer.manifest, event.own
    details = without_empty(
        {
            "kind": "alert" if event.detected else "event",
            "category": ["threat"],
            "type": ["indicator" if event.detected else "info"],
            "module": "buckler",
            "dataset": f"buckler.{manifest.task}",
            "id": event_id(event, scorer),
            "severity": event.severity,
            "risk_score": round(100 * event.score, 2),
            "created": event.iso_time,
            "code": own.code,
            "reason": event.because,
            "reference": event.source,
        }
    )
    record: Record = {
        "@timestamp": event.event_iso_time,
        "ecs": {"version": _VERSION},
        "event": details,
        "rule": {"name": manifest.name, "uuid": scorer.sha256, "category": event.label},
        "message": summarize(event, scorer),
        "buckler": without_empty(
            {
                **event.verdict,
                "record_id": own.record_id,
                "flow_id": own.flow_id,
                "fields": dict(event.kept),
            }
        ),
        **_field_sets(own),
    }
    if event.technique:
        record["threat"] = {"framework": "MITRE ATT&CK", "technique": {"id": [event.technique]}}
    if event.text is not None:
        _add_text(record, details, event, manifest.task)
    return record


def _add_text(record: Record, details: Record, event: ScoredEvent, task: str) -> None:
    """Put the event where ECS has a field for it; the rest is `event.original`."""
    text = event.readable or ""
    if task.startswith("url-"):
        record["url"] = {**cast(Record, record.get("url", {})), "full": text}
    elif task == "command-line":
        process = cast(Record, record.get("process", {}))
        command = event.own.command_line or text.partition("\n")[0]
        parent = without_empty(
            {
                **cast(Record, process.get("parent", {})),
                "command_line": event.own.parent_command_line,
            }
        )
        record["process"] = without_empty({**process, "command_line": command, "parent": parent})
    else:
        details["original"] = text


def _field_sets(own: EventFields) -> Record:
    """Return ECS's field sets of the event's own fields."""
    user, domain = account_of(own.user)
    source = _endpoint(own.source_ip, own.source_port)
    destination = _endpoint(own.destination_ip, own.destination_port)
    addresses = list(dict.fromkeys(filter(None, (own.source_ip, own.destination_ip))))
    sets: Record = {
        "host": without_empty({"name": own.host}),
        "user": without_empty({"name": user, "domain": domain}),
        "process": without_empty(
            {
                "executable": own.image,
                "name": base_name(own.image),
                "pid": own.pid,
                "entity_id": own.process_guid,
                "parent": without_empty(
                    {
                        "executable": own.parent_image,
                        "name": base_name(own.parent_image),
                        "pid": own.parent_pid,
                    }
                ),
            }
        ),
        "source": source,
        "destination": destination,
        "url": without_empty({"domain": own.domain}),
        "network": without_empty({"community_id": own.community_id}),
        "related": without_empty(
            {
                "hosts": list(dict.fromkeys(filter(None, (own.host, own.domain)))),
                "user": [user] if user else [],
                "ip": [*addresses],
            }
        ),
    }
    return without_empty(sets)


def _endpoint(address: str | None, port: int | None) -> Record:
    return without_empty({"address": address, "ip": address, "port": port})


def account_of(user: str | None) -> tuple[str | None, str | None]:
    r"""Return name and domain of an account, which Windows writes as ``DOMAIN\name``."""
    domain, _, name = (user or "").rpartition("\\")
    return name or None, domain or None


def base_name(path: str | None) -> str | None:
    """Return the name of a program, of Windows or of others."""
    return basename(path) or None if path else None


def bulk_action(record: Record, index: str) -> Record:
    """Return the line that precedes an ECS document in Elasticsearch's and OpenSearch's bulk
    format.

    The identifier is that of the document, so that a batch that is sent twice is stored once.
    """
    details = cast(Record, record["event"])
    return {"create": {"_index": index, "_id": details["id"]}}
