"""Reports of the monitor: an HTML page, JSON, and gauges for Prometheus' node exporter."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from buckler.errors import MissingExtraError
from buckler.evaluation.intervals import Rate
from buckler.evaluation.report import ReportTable, render_page, without_nan
from buckler.files import write_atomically
from buckler.monitoring.quality import area_under_time
from buckler.monitoring.windows import MonitorResult, Window

_SLICES_CAPTION = "Each against the same slice of the reference."
CAPTION = (
    "Each window against the reference. PSI: population stability index of the scores; q: chance "
    "after control of the false discovery rate; domain AUROC: AUROC of a classifier that separates "
    "the window from the reference. Estimates without labels assume that only the share of "
    "positive events changed."
)
_HEADING = (
    "window", "events", "PSI", "q", "domain AUROC", "detection rate", "precision, estimated",
    "recall, estimated", "recall", "false-positive rate", "calibration error", "alerts",
)  # fmt: skip


def write_report(result: MonitorResult, folder: Path) -> list[Path]:
    """Write ``monitor.json``, ``monitor.prom`` and, with the extra ``report``, ``monitor.html``.

    Returns
    -------
    list of Path
        Files written, the page first.

    Raises
    ------
    OutputError
        If they cannot be written.
    """
    files = {"monitor.json": report_json(result), "monitor.prom": prometheus(result)}
    with suppress(MissingExtraError):
        files = {"monitor.html": report_html(result).encode(), **files}
    for name, content in files.items():
        write_atomically(folder / name, content)
    return [folder / name for name in files]


def window_table(windows: Sequence[Window]) -> ReportTable:
    """Return windows as rows of texts."""
    rows: list[tuple[str, ...]] = []
    for window in windows:
        drift, estimated, measured = window.drift, window.estimated, window.measured
        rows.append(
            (
                window.name,
                f"{window.n_events:,}",
                f"{drift.psi:.3f}",
                f"{drift.q_value:.2g}",
                str(drift.domain_auroc),
                _rate(drift.detection_rate, 4),
                str(estimated.precision),
                str(estimated.recall),
                "-" if measured is None else _rate(measured.recall),
                "-" if measured is None else _rate(measured.false_positive_rate, 4),
                "-" if measured is None else f"{measured.calibration_error:.3f}",
                "; ".join(alert.reason for alert in window.alerts) or "none",
            )
        )
    return ReportTable(_HEADING, rows)


def area_under_recall(result: MonitorResult) -> dict[str, float]:
    """Return the area under time of the measured and of the estimated recall."""
    measured = [w.measured.recall.value for w in result.windows if w.measured is not None]
    return {
        "recall": area_under_time(measured),
        "estimated_recall": area_under_time([w.estimated.recall.value for w in result.windows]),
    }


def report_json(result: MonitorResult) -> bytes:
    """Return the whole result as JSON."""
    document = {**asdict(result), "area_under_time": area_under_recall(result)}
    return json.dumps(without_nan(document), indent=1, allow_nan=False).encode() + b"\n"


def report_html(result: MonitorResult) -> str:
    """Return a page.

    Raises
    ------
    MissingExtraError
        If jinja2 is not installed.
    """
    slices = window_table(result.slices) if result.slices else None
    values = {
        "title": f"{result.bundle}: monitor",
        "lead": result.lead,
        "notes": result.notes,
        "table": window_table(result.windows),
        "slices": slices and replace(slices, caption=_SLICES_CAPTION),
        "windows": [*result.windows, *result.slices],
        "caption": CAPTION,
    }
    return render_page("monitor.html.j2", values)


def prometheus(result: MonitorResult) -> bytes:
    """Return the newest window in Prometheus' text format."""
    newest = result.windows[-1]
    values: dict[str, float] = {
        "psi": newest.drift.psi,
        "q_value": newest.drift.q_value,
        "domain_auroc": newest.drift.domain_auroc.value,
        "detection_rate": newest.drift.detection_rate.value,
        "estimated_precision": newest.estimated.precision.value,
        "estimated_recall": newest.estimated.recall.value,
        "events": newest.n_events,
        "alerts": len(newest.alerts),
    }
    if newest.sampled is not None:
        values["sampled_precision"] = newest.sampled.precision.value
        values["sampled_recall"] = newest.sampled.recall.value
    if newest.measured is not None:
        values["recall"] = newest.measured.recall.value
        values["false_positive_rate"] = newest.measured.false_positive_rate.value
    bundle = result.bundle.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    lines = [
        f'buckler_monitor_{name}{{bundle="{bundle}"}} {value:.9g}'
        for name, value in values.items()
        if value == value
    ]
    return ("\n".join(lines) + "\n").encode()


def _rate(value: Rate, places: int = 3) -> str:
    if not value.n_rows:
        return "-"
    return f"{value.value:.{places}f} ({value.low:.{places}f} to {value.high:.{places}f})"
