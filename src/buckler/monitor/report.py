"""What was watched, as a page, as JSON, and as a file for Prometheus' node exporter."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from buckler.evaluation.bootstrap import Estimate
from buckler.evaluation.metrics import Rate
from buckler.evaluation.pages import render
from buckler.evaluation.report import Comparison, without_nan
from buckler.monitor.quality import area_under_time
from buckler.monitor.watch import Watched, Window

CAPTION = (
    "Each window against the reference. PSI: population stability index of the scores; q: chance "
    "after control of the false discovery rate; told apart: AUROC of a classifier of windows. "
    "Estimates without labels assume that only the share of bad events changed."
)
_HEAD = (
    "window", "events", "PSI", "q", "told apart", "alarm rate", "precision, estimated",
    "recall, estimated", "detection", "false alarms", "calibration error", "alarms",
)  # fmt: skip


def watched_table(windows: Sequence[Window]) -> Comparison:
    """Return windows as rows of texts."""
    rows: list[tuple[str, ...]] = []
    for window in windows:
        drift, quality, labelled = window.drift, window.unlabelled, window.labelled
        rows.append(
            (
                window.name,
                f"{window.n:,}",
                f"{drift.psi:.3f}",
                f"{drift.q_value:.2g}",
                _estimate(drift.domain),
                _rate(drift.alarms, 4),
                _estimate(quality.precision),
                _estimate(quality.recall),
                "-" if labelled is None else _rate(labelled.detection),
                "-" if labelled is None else _rate(labelled.false_alarms, 4),
                "-" if labelled is None else f"{labelled.ece:.3f}",
                "; ".join(alarm.reason for alarm in window.alarms) or "none",
            )
        )
    return Comparison(_HEAD, rows)


def decay(watched: Watched) -> dict[str, float]:
    """Return the area under time of detection and of estimated recall."""
    labelled = [w.labelled.detection.value for w in watched.windows if w.labelled is not None]
    return {
        "detection": area_under_time(labelled),
        "estimated recall": area_under_time([w.unlabelled.recall.value for w in watched.windows]),
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
    alarms = [
        {"name": window.name, "reason": alarm.reason, "action": alarm.action}
        for window in watched.windows + watched.slices
        for alarm in window.alarms
    ]
    return render(
        "monitor.html.j2",
        title=title,
        lead=lead,
        notes=notes,
        table=watched_table(watched.windows),
        slices=watched_table(watched.slices) if watched.slices else None,
        asked=[w for w in watched.windows if w.asked is not None],
        caption=CAPTION,
        alarms=alarms,
    )


def prometheus(bundle: str, watched: Watched) -> bytes:
    """Return the newest window in Prometheus' text format."""
    newest = watched.windows[-1]
    values: dict[str, Any] = {
        "psi": newest.drift.psi,
        "q_value": newest.drift.q_value,
        "domain_auroc": newest.drift.domain.value,
        "alarm_rate": newest.drift.alarms.value,
        "estimated_precision": newest.unlabelled.precision.value,
        "estimated_recall": newest.unlabelled.recall.value,
        "events": newest.n,
        "alarms": len(newest.alarms),
    }
    if newest.asked is not None:
        values["asked_precision"] = newest.asked.precision.value
        values["asked_recall"] = newest.asked.recall.value
    if newest.labelled is not None:
        values["detection"] = newest.labelled.detection.value
        values["false_alarm_rate"] = newest.labelled.false_alarms.value
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
