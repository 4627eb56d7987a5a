"""OCSF: the Open Cybersecurity Schema Framework."""

import buckler
from buckler.runtime import Scorer
from buckler.serving.formats import VERDICT_FORMATS, Record, ScoredEvent, event_id, summarize

_VERSION = "1.5.0"
_SEVERITIES = ("Unknown", "Informational", "Low", "Medium", "High")


@VERDICT_FORMATS.add
def ocsf(event: ScoredEvent, scorer: Scorer) -> Record:
    """Return an OCSF Detection Finding (class 2004)."""
    manifest = scorer.manifest
    info: Record = {
        "uid": event_id(event, scorer),
        "title": f"{manifest.task}: {event.label}",
        "types": [event.label],
        "analytic": {
            "name": manifest.name,
            "uid": scorer.sha256,
            "type": "Learning (ML/DL)",
            "type_id": 4,
        },
    }
    if event.technique:
        info["attacks"] = [{"technique": {"uid": event.technique}}]
    if event.source:
        info["data_sources"] = [event.source]
    finding: Record = {
        "activity_id": 1,
        "category_uid": 2,
        "class_uid": 2004,
        "type_uid": 200401,
        "time": int(event.time_s * 1000),
        "severity_id": event.severity,
        "severity": _SEVERITIES[event.severity],
        "status_id": 1,
        "is_alert": event.detected,
        "confidence_score": round(100 * event.score),
        "message": summarize(event, scorer),
        "metadata": {
            "version": _VERSION,
            "product": {
                "name": "Buckler",
                "vendor_name": "Buckler",
                "version": buckler.__version__,
            },
        },
        "finding_info": info,
        "unmapped": {"buckler": dict(event.verdict)},
    }
    if event.text is not None:
        finding["evidences"] = [{"data": {"text": event.text}}]
    return finding
