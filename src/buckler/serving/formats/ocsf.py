"""OCSF: the Open Cybersecurity Schema Framework."""

import buckler
from buckler.runtime import Scorer
from buckler.serving.formats import (
    VERDICT_FORMATS,
    Record,
    ScoredEvent,
    event_id,
    summarize,
    without_empty,
)
from buckler.serving.formats.ecs import account_of, base_name

_VERSION = "1.5.0"
_SEVERITIES = ("Unknown", "Informational", "Low", "Medium", "High")
_REGULAR_FILE, _UNKNOWN = 1, 0


@VERDICT_FORMATS.add
def ocsf(event: ScoredEvent, scorer: Scorer) -> Record:
    """Return an OCSF Detection Finding (class 2004), at the time of the event where it is known."""
    manifest, own = scorer.manifest, event.own
    event_ms = None if own.time_s is None else int(own.time_s * 1000)
    verdict_ms = int(event.time_s * 1000)
    info: Record = {
        "uid": event_id(event, scorer),
        "title": f"{manifest.task}: {event.label}",
        "types": [event.label],
        "created_time": verdict_ms,
        "analytic": {
            "name": manifest.name,
            "uid": scorer.sha256,
            "type": "Learning (ML/DL)",
            "type_id": 4,
        },
    }
    if event.because:
        info["desc"] = event.because
    if event_ms is not None:
        info["first_seen_time"] = info["last_seen_time"] = event_ms
    if event.technique:
        info["attacks"] = [{"technique": {"uid": event.technique}}]
    if own.record_id:
        info["related_events"] = [{"uid": own.record_id}]
    if event.source:
        info["data_sources"] = [event.source]
    finding: Record = {
        "activity_id": 1,
        "category_uid": 2,
        "class_uid": 2004,
        "type_uid": 200401,
        "time": verdict_ms if event_ms is None else event_ms,
        "severity_id": event.severity,
        "severity": _SEVERITIES[event.severity],
        "status_id": 1,
        "is_alert": event.detected,
        "confidence_score": round(100 * event.score),
        "message": summarize(event, scorer),
        "metadata": without_empty(
            {
                "version": _VERSION,
                "profiles": ["host"] if own.host else [],
                "processed_time": verdict_ms,
                "event_code": own.code,
                "correlation_uid": own.flow_id,
                "product": {
                    "name": "Buckler",
                    "vendor_name": "Buckler",
                    "version": buckler.__version__,
                },
            }
        ),
        "finding_info": info,
        "unmapped": {
            "buckler": without_empty({**event.verdict, "fields": dict(event.kept)}),
        },
    }
    if own.host:
        finding["device"] = {"hostname": own.host, "type_id": _UNKNOWN}
    if evidence := _evidence(event, manifest.task):
        finding["evidences"] = [evidence]
    return finding


def _evidence(event: ScoredEvent, task: str) -> Record:
    """Return what OCSF calls an evidence artifact: process, account, connection, and the text."""
    own, text = event.own, event.readable
    url = text if text is not None and task.startswith("url-") else None
    commands: tuple[str | None, str | None] = None, None
    if text is not None and task == "command-line":
        commands = own.command_line or text.partition("\n")[0], own.parent_command_line
    user, domain = account_of(own.user)
    account = without_empty({"name": user, "domain": domain})
    parent = _process(own.parent_image, commands[1], own.parent_pid)
    process = _process(own.image, commands[0], own.pid, own.process_guid)
    data: Record = {}
    if text is not None and url is None and not process:
        data = {"text": text}
    if process:
        process = without_empty({**process, "user": account, "parent_process": parent})
    return without_empty(
        {
            "process": process,
            "user": account if user else {},
            "src_endpoint": _endpoint(own.source_ip, own.source_port),
            "dst_endpoint": _endpoint(own.destination_ip, own.destination_port, own.domain),
            "url": without_empty({"url_string": url, "hostname": own.domain}) if url else {},
            "data": data,
        }
    )


def _process(
    image: str | None, command: str | None, pid: int | None, guid: str | None = None
) -> Record:
    """Return a process; empty where nothing identifies it, as OCSF asks."""
    if pid is None and guid is None:
        return {}
    name = base_name(image)
    file: Record = {}
    if name:
        file = {"name": name, "path": image, "type_id": _REGULAR_FILE}
    return without_empty({"name": name, "file": file, "pid": pid, "uid": guid, "cmd_line": command})


def _endpoint(ip: str | None, port: int | None, hostname: str | None = None) -> Record:
    """Return an end of a connection; empty where it has neither address nor name."""
    if ip is None and hostname is None:
        return {}
    return without_empty({"ip": ip, "port": port, "hostname": hostname})
