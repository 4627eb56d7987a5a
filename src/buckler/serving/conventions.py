"""Verdicts in the forms that other tools read: OCSF, ECS, an alert, Elasticsearch's bulk lines.

Each form is one function under ``@convention``: a verdict and what is known of its event in, a JSON
object out. Nothing of the event goes in but what the caller gives.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import buckler
from buckler.errors import SettingsError
from buckler.runtime import Scorer

OCSF_VERSION = "1.5.0"
ECS_VERSION = "8.17.0"
Record = dict[str, Any]
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # of URLs, RFC 4122
# ECS has a place of its own for what an event is.
_ECS_TEXT = {"url": ("url", "full"), "command-line": ("process", "command_line")}
_FROM_TASK = {
    "url-threat": "url",
    "url-category": "url",
    "command-line": "command-line",
}


class Judged(NamedTuple):
    """One verdict.

    Attributes
    ----------
    verdict
        label, score, detection and what else the bundle says, by name.
    seconds
        When it was judged, since 1970.
    text
        The event, where it may be told; else None.
    source
        Where it came from: a file and row, a topic and offset.
    """

    verdict: Mapping[str, Any]
    seconds: float
    text: str | None = None
    source: str = ""


Form = Callable[[Judged, Scorer], Record]
_FORMS: dict[str, Form] = {}


def convention(name: str) -> Callable[[Form], Form]:
    """Register a form under its name."""

    def register(form: Form) -> Form:
        _FORMS[name] = form
        return form

    return register


def get_convention(name: str) -> Form:
    """Return the form of this name.

    Raises
    ------
    SettingsError
        If there is none.
    """
    if name not in _FORMS:
        raise SettingsError(f"unknown form of verdicts {name!r}: known are {', '.join(_FORMS)}")
    return _FORMS[name]


def list_conventions() -> list[str]:
    """Return the names of all forms."""
    return list(_FORMS)


@convention("plain")
def plain(judged: Judged, scorer: Scorer) -> Record:
    """The verdict as it is, with the bundle that gave it."""
    record: Record = {**judged.verdict}
    if judged.text is not None:
        record["text"] = judged.text
    record["time"], record["bundle"] = _iso(judged.seconds), scorer.manifest.name
    if judged.source:
        record["source"] = judged.source
    return record


@convention("ocsf")
def ocsf(judged: Judged, scorer: Scorer) -> Record:
    """OCSF Detection Finding (class 2004)."""
    manifest, verdict = scorer.manifest, judged.verdict
    severity = _severity(judged)
    finding: Record = {
        "activity_id": 1,
        "category_uid": 2,
        "class_uid": 2004,
        "type_uid": 200401,
        "time": int(judged.seconds * 1000),
        "severity_id": severity,
        "severity": ("Unknown", "Informational", "Low", "Medium", "High")[severity],
        "status_id": 1,
        "is_alert": bool(verdict["detected"]),
        "confidence_score": round(100 * float(verdict["score"])),
        "message": _sentence(judged, scorer),
        "metadata": {
            "version": OCSF_VERSION,
            "product": {
                "name": "Buckler",
                "vendor_name": "Buckler",
                "version": buckler.__version__,
            },
        },
        "finding_info": {
            "uid": _uid(judged, scorer),
            "title": f"{manifest.task}: {verdict['label']}",
            "types": [str(verdict["label"])],
            "analytic": {
                "name": manifest.name,
                "uid": scorer.sha256,
                "type": "Learning (ML/DL)",
                "type_id": 4,
            },
        },
        "unmapped": {"buckler": dict(verdict)},
    }
    technique = verdict.get("technique")
    if technique:
        finding["finding_info"]["attacks"] = [{"technique": {"uid": technique}}]
    if judged.source:
        finding["finding_info"]["data_sources"] = [judged.source]
    if judged.text is not None:
        finding["evidences"] = [{"data": {"text": judged.text}}]
    return finding


@convention("ecs")
def ecs(judged: Judged, scorer: Scorer) -> Record:
    """Elastic Common Schema."""
    manifest, verdict = scorer.manifest, judged.verdict
    detected = bool(verdict["detected"])
    record: Record = {
        "@timestamp": _iso(judged.seconds),
        "ecs": {"version": ECS_VERSION},
        "event": {
            "kind": "alert" if detected else "event",
            "category": ["threat"],
            "type": ["indicator" if detected else "info"],
            "module": "buckler",
            "dataset": f"buckler.{manifest.task}",
            "id": _uid(judged, scorer),
            "severity": _severity(judged),
            "risk_score": round(100 * float(verdict["score"]), 2),
        },
        "rule": {"name": manifest.name, "uuid": scorer.sha256, "category": str(verdict["label"])},
        "message": _sentence(judged, scorer),
        "buckler": dict(verdict),
    }
    technique = verdict.get("technique")
    if technique:
        record["threat"] = {"framework": "MITRE ATT&CK", "technique": {"id": [technique]}}
    if judged.source:
        record["event"]["reference"] = judged.source
    if judged.text is not None:
        first, *rest = _ECS_TEXT.get(_FROM_TASK.get(manifest.task, ""), ("event", "original"))
        record.setdefault(first, {})[rest[0]] = judged.text
    return record


@convention("alert")
def alert(judged: Judged, scorer: Scorer) -> Record:
    """An alert as Sigma tools write them: a rule with title, id and level, and the event."""
    manifest = scorer.manifest
    record: Record = {
        "timestamp": _iso(judged.seconds),
        "rule": {
            "title": f"{manifest.name}: {judged.verdict['label']}",
            "id": str(uuid.uuid5(_NAMESPACE, scorer.sha256)),
            "level": ("informational", "informational", "low", "medium", "high")[_severity(judged)],
            "tags": [f"buckler.{manifest.task}", *_tags(judged)],
        },
        "verdict": dict(judged.verdict),
    }
    if judged.text is not None:
        record["event"] = judged.text
    return record | ({"source": judged.source} if judged.source else {})


def bulk_lines(judged: Judged, scorer: Scorer, index: str) -> Iterator[Record]:
    """Yield the two lines of Elasticsearch's and OpenSearch's bulk interface.

    The id comes from verdict and source, so that a batch that is sent twice is stored once.
    """
    yield {"create": {"_index": index, "_id": _uid(judged, scorer)}}
    yield ecs(judged, scorer)


@lru_cache(maxsize=16)  # a batch is of one moment
def _iso(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _severity(judged: Judged) -> int:
    """Return OCSF's number: 1 without a detection, else 2 to 4 by score."""
    if not judged.verdict["detected"]:
        return 1
    score = float(judged.verdict["score"])
    return 4 if score >= 0.9 else 3 if score >= 0.5 else 2


def _uid(judged: Judged, scorer: Scorer) -> str:
    verdict = judged.verdict
    said = f"{scorer.sha256} {judged.source} {judged.text} {verdict['label']} {verdict['score']}"
    if not judged.source:
        said += f" {judged.seconds}"
    return str(uuid.uuid5(_NAMESPACE, said))


def _sentence(judged: Judged, scorer: Scorer) -> str:
    verdict = judged.verdict
    what = "detected" if verdict["detected"] else "no detection"
    return f"{scorer.manifest.task}: {verdict['label']} ({what}, score {verdict['score']:.4f})"


def _tags(judged: Judged) -> list[str]:
    technique = judged.verdict.get("technique")
    return [f"attack.{str(technique).lower()}"] if technique else []
