"""`buckler monitor`: compares current events with reference events."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import out, safe, show_steps
from buckler.cli.results import print_rows
from buckler.errors import InputError, SettingsError
from buckler.evaluation.report import ReportTable, rate_text
from buckler.labels import open_existing
from buckler.monitoring import (
    DriftLimits,
    MonitorResult,
    MonitorSettings,
    TeacherSample,
    monitor_stream,
    write_report,
)
from buckler.monitoring import monitor as monitor_files
from buckler.monitoring.drift_report import area_under_recall, window_table
from buckler.monitoring.live import StreamCounts
from buckler.runtime import Scorer, load
from buckler.signals import stop_on_signals
from buckler.tasks import Task, get_bundle_task
from buckler.teachers import get_teacher
from buckler.teachers.budget import Budget

_COLUMNS = (
    "window", "events", "PSI", "domain AUROC", "detection rate", "recall", "false-positive rate",
)  # fmt: skip


def monitor(
    bundle: opt.BundleArgument,
    current: Annotated[
        list[Path], typer.Argument(help="Current events; - reads JSON lines as they arrive.")
    ],
    reference: Annotated[
        list[Path],
        typer.Option(
            "--reference", "-r", help="Events from when the bundle was made, not trained on."
        ),
    ],
    output: opt.ReportFolder,
    by: Annotated[
        str, typer.Option(help="Period of a window: month, week, day, or all.")
    ] = "month",
    slices: Annotated[
        list[str] | None,
        typer.Option("--slice", help="Column whose values are compared one by one too."),
    ] = None,
    every: Annotated[
        int, typer.Option(help="Events of a window, where events arrive as JSON lines.", min=20)
    ] = 5000,
    teacher: Annotated[
        str | None,
        typer.Option(help="Teacher that labels samples of windows with alerts: chat, encoder, …"),
    ] = None,
    settings: opt.TeacherSettings = None,
    sample: Annotated[int, typer.Option(help="Events that it labels, a window.", min=2)] = 100,
    analyst_labels: Annotated[
        bool,
        typer.Option(
            "--analyst-labels", help="Use the analysts' labels of randomly sampled events."
        ),
    ] = False,
    store: Annotated[
        str, typer.Option("--store", "-s", help="Label store: a file, or a PostgreSQL URL.")
    ] = "labels.db",
    budget_usd: opt.BudgetUsd = None,
    budget_tokens: opt.BudgetTokens = None,
    trusted_key: opt.TrustedKey = None,
    task: opt.TaskFile = None,
    text_column: opt.TextColumn = None,
    label_column: Annotated[
        str | None, typer.Option(help="Name of the column of labels, where some are known.")
    ] = None,
    format_name: opt.FormatName = None,
    domain: Annotated[
        bool, typer.Option("--domain/--no-domain", help="Train a domain classifier per window.")
    ] = True,
    min_events: Annotated[int, typer.Option(help="Events that a window needs.", min=20)] = 200,
    fail_on_alert: Annotated[
        bool,
        typer.Option("--fail-on-alert", help="Exit with code 1 if the newest window has alerts."),
    ] = False,
) -> None:
    """Compare current events with reference events: drift and quality."""
    scorer = load(bundle, trusted_key=trusted_key)
    limits = DriftLimits(
        min_events=min_events, domain_auroc=DriftLimits.domain_auroc if domain else None
    )
    chosen = MonitorSettings(
        by, tuple(slices or ()), limits, task, text_column, label_column, format_name
    )
    if current == [Path("-")]:
        if slices or teacher or analyst_labels:
            raise SettingsError("slices, a teacher and analysts' labels are for files")
        result = _print_stream(scorer, reference, chosen, output, every)
    else:
        the_task = get_bundle_task(scorer.manifest, task)
        asked = None
        if teacher is not None:
            budget = Budget(usd=budget_usd, tokens=budget_tokens)
            asked = TeacherSample(get_teacher(teacher, settings, the_task), store, sample, budget)
        labels = _analyst_labels(store, the_task) if analyst_labels else None
        with show_steps("comparing"):
            result = monitor_files(
                scorer, current, reference, chosen, sample=asked, analyst_labels=labels
            )
        _print(result)
        for path in write_report(result, output):
            out.print(f"report  {path}")
    if fail_on_alert and result.windows[-1].alerts:
        raise typer.Exit(1)


def _analyst_labels(store: str, task: Task) -> dict[bytes, int]:
    from buckler.review.queue import random_sample_labels

    with open_existing(store) as opened:
        return random_sample_labels(opened, task)


def _print_stream(
    scorer: Scorer, reference: list[Path], settings: MonitorSettings, output: Path, every: int
) -> MonitorResult:
    counts, result = StreamCounts(), None
    with stop_on_signals() as stop:
        for result in monitor_stream(
            scorer,
            sys.stdin.buffer,
            reference,
            settings,
            stop,
            window_events=every,
            counts=counts,
        ):
            newest = result.windows[-1]
            reasons = "; ".join(alert.reason for alert in newest.alerts) or "no alert"
            out.print(f"{newest.name}: {newest.n_events:,} events, {safe(reasons, 300)}")
            write_report(result, output)
    unreadable = f", {counts.unreadable:,} could not be read" if counts.unreadable else ""
    out.print(f"{counts.lines:,} lines{unreadable}; report: {output}")
    if result is None:
        raise InputError(f"too few events: a window needs {settings.limits.min_events}")
    return result


def _print(result: MonitorResult) -> None:
    windows = result.windows + result.slices
    table = window_table(windows)
    chosen = [table.heading.index(name) for name in _COLUMNS]
    print_rows(ReportTable(_COLUMNS, [tuple(row[i] for i in chosen) for row in table.rows]))
    out.print()
    for window in windows:
        for alert in window.alerts:
            out.print(f"{safe(window.name, 80)}: {safe(alert.reason, 200)}: {alert.action}")
        if window.sampled is not None:
            sampled = window.sampled
            out.print(
                f"{safe(window.name, 80)}: sample labeled by {window.sampled_by}: precision "
                f"{rate_text(sampled.precision, 3)}, recall {sampled.recall}"
            )
    areas = area_under_recall(result).items()
    shown = ", ".join(f"{name.replace('_', ' ')} {v:.3f}" for name, v in areas if v == v)
    out.print(f"area under time: {shown}")
    for note in result.notes:
        out.print(f"note: {safe(note, 300)}")
