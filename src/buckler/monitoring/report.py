"""What was watched, as a page, as JSON, and as a file for Prometheus' node exporter."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from buckler.evaluation.intervals import Estimate, Rate
from buckler.evaluation.report import Comparison, render_page, without_nan
from buckler.monitoring.quality import area_under_time
from buckler.monitoring.watch import Watched, Window

CAPTION = (
    "Each window against the reference. PSI: population stability index of the scores; q: chance "
    "after control of the false discovery rate; told apart: AUROC of a classifier of windows. "
    "Estimates without labels assume that only the share of positive events changed."
)
_HEAD = (
    "window", "events", "PSI", "q", "told apart", "detection rate", "precision, estimated",
    "recall, estimated", "detection", "false positives", "calibration error", "detections",
)  # fmt: skip


def watched_table(windows: Sequence[Window]) -> Comparison:
    """Return windows as rows of texts."""
    rows: list[tuple[str, ...]] = []
    for window in windows:
        drift, quality, labeled = window.drift, window.unlabeled, window.labeled
        rows.append(
            (
                window.name,
                f"{window.n:,}",
                f"{drift.psi:.3f}",
                f"{drift.q_value:.2g}",
                _estimate(drift.domain),
                _rate(drift.detections, 4),
                _estimate(quality.precision),
                _estimate(quality.recall),
                "-" if labeled is None else _rate(labeled.detection),
                "-" if labeled is None else _rate(labeled.false_positives, 4),
                "-" if labeled is None else f"{labeled.ece:.3f}",
                "; ".join(alert.reason for alert in window.alerts) or "none",
            )
        )
    return Comparison(_HEAD, rows)


def decay(watched: Watched) -> dict[str, float]:
    """Return the area under time of detection and of estimated recall."""
    labeled = [w.labeled.detection.value for w in watched.windows if w.labeled is not None]
    return {
        "detection": area_under_time(labeled),
        "estimated recall": area_under_time([w.unlabeled.recall.value for w in watched.windows]),
    }


def report_json(title: str, watched: Watched) -> bytes:
    """Return all of it as JSON."""
    document = {"title": title, **asdict(watched), "area_under_time": decay(watched)}
    return json.dumps(without_nan(document), indent=1, allow_nan=False).encode() + b"\n"


def report_html(title: str, lead: str, watched: Watched, notes: tuple[str, ...]) -> str:
    """Return a page.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    alerts = [
        {"name": window.name, "reason": alert.reason, "action": alert.action}
        for window in watched.windows + watched.slices
        for alert in window.alerts
    ]
    values = {
        "title": title,
        "lead": lead,
        "notes": notes,
        "table": watched_table(watched.windows),
        "slices": watched_table(watched.slices) if watched.slices else None,
        "asked": [w for w in watched.windows if w.asked is not None],
        "caption": CAPTION,
        "alerts": alerts,
    }
    return render_page("monitor.html.j2", values)


def prometheus(bundle: str, watched: Watched) -> bytes:
    """Return the newest window in Prometheus' text format."""
    newest = watched.windows[-1]
    values: dict[str, Any] = {
        "psi": newest.drift.psi,
        "q_value": newest.drift.q_value,
        "domain_auroc": newest.drift.domain.value,
        "detection_rate": newest.drift.detections.value,
        "estimated_precision": newest.unlabeled.precision.value,
        "estimated_recall": newest.unlabeled.recall.value,
        "events": newest.n,
        "alerts": len(newest.alerts),
    }
    if newest.asked is not None:
        values["asked_precision"] = newest.asked.precision.value
        values["asked_recall"] = newest.asked.recall.value
    if newest.labeled is not None:
        values["detection"] = newest.labeled.detection.value
        values["false_positive_rate"] = newest.labeled.false_positives.value
    safe = bundle.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    lines = [
        f'buckler_monitor_{name}{{bundle="{safe}"}} {value:.9g}'
        for name, value in values.items()
        if value == value
    ]
    return ("\n".join(lines) + "\n").encode()


def _estimate(value: Estimate) -> str:
    if value.value != value.value:
        return "-"
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"


def _rate(value: Rate, places: int = 3) -> str:
    if not value.n_rows:
        return "-"
    return f"{value.value:.{places}f} ({value.low:.{places}f} to {value.high:.{places}f})"
