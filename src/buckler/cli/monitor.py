"""`buckler monitor`: is a bundle still as good as it was?"""

from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from buckler.bundle.writer import write_whole
from buckler.cli.console import out, safe, step_progress
from buckler.cli.evaluate import task_of
from buckler.cli.options import TrustedKey
from buckler.cli.results import print_rows
from buckler.errors import MissingExtraError, SettingsError
from buckler.evaluation.report import Comparison
from buckler.events import Quarantine, collect_events
from buckler.monitor.report import decay, prometheus, report_html, report_json, watched_table
from buckler.monitor.watch import Limits, Watched, watch, window_names
from buckler.runtime import load

_WINDOWS = ("month", "week", "day", "all")
_SHOWN = ("window", "events", "PSI", "told apart", "alarm rate", "detection", "false alarms")


def monitor(
    bundle: Annotated[Path, typer.Argument(help="A .buckler file.")],
    current: Annotated[list[Path], typer.Argument(help="Events as they come now.")],
    reference: Annotated[
        list[Path],
        typer.Option("--reference", "-r", help="Events of when it was made, not trained on."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the report.")],
    by: Annotated[str, typer.Option(help="Windows of time: month, week, day, or all.")] = "month",
    trusted_key: TrustedKey = None,
    text_column: Annotated[str | None, typer.Option(help="Name of the text column.")] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Name of a column of labels that came late.")
    ] = None,
    format_name: Annotated[
        str | None, typer.Option("--format", help="Read as this format, whatever the suffix.")
    ] = None,
    domain: Annotated[
        bool, typer.Option("--domain/--no-domain", help="Train a classifier of windows.")
    ] = True,
    least: Annotated[int, typer.Option(help="Events that a window needs.", min=20)] = 200,
    alarm_exit: Annotated[
        bool, typer.Option("--alarm-exit", help="Exit with code 1 if the newest window alarms.")
    ] = False,
) -> None:
    """Compare what comes now with what was then: scores, events, alarms, and quality."""
    if by not in _WINDOWS:
        raise SettingsError(f"--by: one of {', '.join(_WINDOWS)}")
    scorer = load(bundle, trusted_key=trusted_key)
    task = task_of(scorer.manifest.task, tuple(scorer.manifest.classes))
    if not task.bad:
        raise SettingsError(f"{task.name} has no bad class, so that there is no alarm to watch")
    with step_progress() as progress, Quarantine() as quarantine:
        bar = progress.add_task("reading")
        read = partial(
            collect_events,
            task=task,
            text_column=text_column,
            label_column=label_column,
            format_name=format_name,
            quarantine=quarantine,
        )
        then, now = read(reference), read(current)
        progress.update(bar, description="comparing")
        names = np.full(len(now), "all", object) if by == "all" else window_names(now, by)
        found = watch(scorer, then, now, task, names, limits=Limits(least=least), domain=domain)
    undated = int((names == None).sum())  # noqa: E711 - of each element
    title = f"{scorer.manifest.name}: monitor"
    write_whole(output / "monitor.json", report_json(title, found))
    write_whole(output / "monitor.prom", prometheus(scorer.manifest.name, found))
    _print(found)
    lead = f"{len(now):,} events by {by} against {len(then):,} of the reference."
    notes = tuple(f"{name}: {n:,} events are too few to say anything." for name, n in found.skipped)
    if undated:
        notes += (f"{undated:,} events have no time and stand in no window.",)
    for note in notes:
        out.print(f"note: {note}")
    try:
        write_whole(output / "monitor.html", report_html(title, lead, found, notes).encode())
        out.print(f"report  {output / 'monitor.html'}")
    except MissingExtraError as error:
        out.print(f"report  no HTML: {error}")
    out.print(f"        {output / 'monitor.json'}, monitor.prom")
    if quarantine.count:
        out.print(f"        {quarantine.summary()}")
    if alarm_exit and found.windows[-1].alarms:
        raise typer.Exit(1)


def _print(found: Watched) -> None:
    whole = watched_table(found)
    chosen = [whole.head.index(name) for name in _SHOWN]
    rows = [tuple(row[i] for i in chosen) for row in whole.rows]
    print_rows(Comparison(_SHOWN, rows))
    out.print()
    for window in found.windows:
        for alarm in window.alarms:
            out.print(f"{window.name}: {safe(alarm.reason, 200)}: {alarm.action}")
    areas = ", ".join(f"{k} {v:.3f}" for k, v in decay(found).items() if v == v)
    out.print(f"area under time: {areas}")
