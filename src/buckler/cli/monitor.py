"""`buckler monitor`: is a bundle still as good as it was?"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from buckler.cli.console import out, safe, step_progress
from buckler.cli.options import BudgetTokens, BudgetUsd, TrustedKey
from buckler.cli.results import print_rows
from buckler.cli.stream import stopping
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.errors import MissingExtraError, SettingsError
from buckler.evaluation.report import Comparison
from buckler.files import write_atomically
from buckler.labels import LabelStore, open_existing
from buckler.monitoring.ask import Doubt, ask_in_doubt, judged_samples
from buckler.monitoring.report import decay, prometheus, report_html, report_json, watched_table
from buckler.monitoring.watch import Limits, Watched, Window, watch, window_names, with_asked
from buckler.readers.quarantine import Quarantine
from buckler.runtime import Scorer, load
from buckler.serving.fields import fields_of
from buckler.tasks import get_bundle_task
from buckler.teachers import Teacher, get_teacher
from buckler.teachers.llm.limits import Budget

_WINDOWS = ("month", "week", "day", "all")
_SHOWN = ("window", "events", "PSI", "told apart", "detection rate", "detection", "false positives")


@dataclass(frozen=True)
class _Asking:
    """Who is asked in doubt, and for how much."""

    teacher: Teacher
    store: str
    number: int
    budget: Budget


def monitor(
    bundle: Annotated[Path, typer.Argument(help="A .buckler file.")],
    current: Annotated[
        list[Path], typer.Argument(help="Events as they come now; - reads JSON lines as they come.")
    ],
    reference: Annotated[
        list[Path],
        typer.Option("--reference", "-r", help="Events of when it was made, not trained on."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the report.")],
    by: Annotated[str, typer.Option(help="Windows of time: month, week, day, or all.")] = "month",
    slices: Annotated[
        list[str] | None,
        typer.Option("--slice", help="Compare value by value of this column too."),
    ] = None,
    every: Annotated[
        int, typer.Option(help="Of events as they come: how many make a window.", min=20)
    ] = 5000,
    ask: Annotated[
        str | None,
        typer.Option(help="A teacher to label samples where something is wrong: chat, encoder, …"),
    ] = None,
    ask_settings: Annotated[
        Path | None, typer.Option("--ask-settings", help="The teacher's file.")
    ] = None,
    ask_number: Annotated[
        int, typer.Option("--ask-number", help="Events of a sample.", min=2)
    ] = 100,
    verdicts: Annotated[
        bool,
        typer.Option("--verdicts", help="Count what analysts said of events drawn by lot."),
    ] = False,
    store: Annotated[
        str, typer.Option("--store", "-s", help="The label store: verdicts, a teacher's word.")
    ] = "labels.db",
    budget_usd: BudgetUsd = None,
    budget_tokens: BudgetTokens = None,
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
    fail_on_alert: Annotated[
        bool,
        typer.Option("--fail-on-alert", help="Exit with code 1 if the newest window detections."),
    ] = False,
) -> None:
    """Compare what comes now with what was then: scores, events, detections, and quality."""
    if by not in _WINDOWS:
        raise SettingsError(f"--by: one of {', '.join(_WINDOWS)}")
    scorer = load(bundle, trusted_key=trusted_key)
    task = get_bundle_task(scorer.manifest.task, scorer.manifest.classes)
    if not task.positive:
        raise SettingsError(
            f"{task.name} has no positive class, so that there is no detection to watch"
        )
    limits = Limits(least=least)
    asking = None
    if ask is not None:
        budget = Budget(usd=budget_usd, tokens=budget_tokens)
        asking = _Asking(get_teacher(ask, ask_settings, task), store, ask_number, budget)
    with step_progress() as progress, Quarantine() as quarantine:
        bar = progress.add_task("reading")
        read = partial(
            read_dataset,
            task=task,
            columns=ColumnNames(
                text=text_column,
                label=label_column,
                keep=tuple(s for s in slices or () if s not in ("source", "group")),
            ),
            format_name=format_name,
            quarantine=quarantine,
        )
        if current == [Path("-")]:
            if slices or ask or verdicts:
                raise SettingsError("--slice, --ask and --verdicts are for files")
            found = _follow(scorer, read(reference), text_column, output, every, limits, domain)
            if fail_on_alert and found.windows[-1].alerts:
                raise typer.Exit(1)
            return
        then, now = read(reference), read(current)
        progress.update(bar, description="comparing")
        names = np.full(len(now), "all", object) if by == "all" else window_names(now, by)
        found = watch(scorer, then, now, names, limits=limits, domain=domain, slices=slices or ())
        notes = _notes(found, names)
        if verdicts:
            found, said = _judged(found, scorer, now, names, store)
            notes += said
        if asking is not None:
            progress.update(bar, description="asking a teacher")
            found, said = _ask(found, scorer, now, names, asking)
            notes += said
    lead = f"{len(now):,} events by {by} against {len(then):,} of the reference."
    _print(found)
    for note in notes:
        out.print(f"note: {safe(note, 300)}")
    _write(output, scorer, found, lead, notes, out.print)
    if quarantine.count:
        out.print(f"        {quarantine.summary()}")
    if fail_on_alert and found.windows[-1].alerts:
        raise typer.Exit(1)


def _notes(found: Watched, names: npt.NDArray[np.object_]) -> tuple[str, ...]:
    notes = tuple(f"{name}: {n:,} events are too few to say anything." for name, n in found.skipped)
    undated = int((names == None).sum())  # noqa: E711 - of each element
    if undated:
        notes += (f"{undated:,} events have no time and stand in no window.",)
    return notes


def _ask(
    found: Watched,
    scorer: Scorer,
    now: Dataset,
    names: npt.NDArray[np.object_],
    asking: _Asking,
) -> tuple[Watched, tuple[str, ...]]:
    """Ask about windows that detection and have no labels."""
    windows = [w for w in found.windows if w.alerts and w.labeled is None and w.asked is None]
    doubts = [_window(w, scorer, now, names) for w in windows]
    if not doubts:
        return found, ("No window is in doubt: no teacher was asked.",)
    with LabelStore(asking.store) as store:
        asked = ask_in_doubt(
            doubts, asking.teacher, store, now.task, n=asking.number, budget=asking.budget
        )
    annotator = asking.teacher.annotator
    note = f"{annotator.name} {annotator.version} was asked about {asked.asked:,} events"
    note += f", {asked.new:,} of them for the first time"
    note += f"; stopped: {asked.stopped}." if asked.stopped else "."
    return with_asked(found, asked.windows), (note,)


def _judged(
    found: Watched,
    scorer: Scorer,
    now: Dataset,
    names: npt.NDArray[np.object_],
    where: str,
) -> tuple[Watched, tuple[str, ...]]:
    """Put what analysts said of events drawn by lot beside the windows."""
    from buckler.review.queue import random_sample_labels

    with open_existing(where) as store:
        said = random_sample_labels(store, now.task)
    windows = [_window(w, scorer, now, names) for w in found.windows]
    samples = judged_samples(windows, said, now.task)
    n = sum(s.precision.n_rows + s.missed.n_rows for s in samples.values())
    note = f"analysts have judged {n:,} events of {len(samples):,} windows that were drawn by lot."
    return with_asked(found, samples, "by the analysts"), (note,)


def _window(window: Window, scorer: Scorer, now: Dataset, names: npt.NDArray[np.object_]) -> Doubt:
    part = now.take(np.flatnonzero(names == window.name))
    verdicts = scorer.score(part.raw_texts)
    return Doubt(window.name, part, verdicts.scores.astype(np.float64), verdicts.detected)


def _follow(
    scorer: Scorer,
    reference: Dataset,
    text_column: str | None,
    output: Path,
    every: int,
    limits: Limits,
    domain: bool,
) -> Watched:
    """Compare events as they come, until they end or somebody says stop."""
    from buckler.monitoring.follow import Followed, follow

    counts = Followed()
    fields = fields_of(scorer, (text_column,) if text_column else ())
    found: Watched | None = None
    for found in follow(
        scorer,
        reference,
        fields,
        sys.stdin.buffer,
        stopping(),
        every=every,
        limits=limits,
        domain=domain,
        counts=counts,
    ):
        newest = found.windows[-1]
        said = "; ".join(alert.reason for alert in newest.alerts) or "as it was"
        out.print(f"{newest.name}: {newest.n:,} events, {safe(said, 300)}")
        lead = (
            f"{counts.judged:,} events as they came, against {len(reference):,} of the reference."
        )
        _write(output, scorer, found, lead, (), None)
    unreadable = f", {counts.unreadable:,} could not be read" if counts.unreadable else ""
    out.print(f"{counts.lines:,} lines{unreadable}; report: {output}")
    if found is None:
        raise SettingsError(f"too few events came: a window needs {limits.least}")
    return found


def _write(
    output: Path,
    scorer: Scorer,
    found: Watched,
    lead: str,
    notes: tuple[str, ...],
    say: Callable[[str], None] | None,
) -> None:
    title = f"{scorer.manifest.name}: monitor"
    tell = say if say is not None else (lambda _: None)
    write_atomically(output / "monitor.json", report_json(title, found))
    write_atomically(output / "monitor.prom", prometheus(scorer.manifest.name, found))
    try:
        write_atomically(output / "monitor.html", report_html(title, lead, found, notes).encode())
        tell(f"report  {output / 'monitor.html'}")
    except MissingExtraError as error:
        tell(f"report  no HTML: {error}")
    tell(f"        {output / 'monitor.json'}, monitor.prom")


def _print(found: Watched) -> None:
    whole = watched_table(found.windows + found.slices)
    chosen = [whole.head.index(name) for name in _SHOWN]
    rows = [tuple(row[i] for i in chosen) for row in whole.rows]
    print_rows(Comparison(_SHOWN, rows))
    out.print()
    for window in found.windows + found.slices:
        for alert in window.alerts:
            out.print(f"{safe(window.name, 80)}: {safe(alert.reason, 200)}: {alert.action}")
        if window.asked is not None:
            asked = window.asked
            out.print(
                f"{window.name}: {window.asked_by}, precision {asked.precision.value:.3f} "
                f"({asked.precision.low:.3f} to {asked.precision.high:.3f}), recall {asked.recall}"
            )
    areas = ", ".join(f"{k} {v:.3f}" for k, v in decay(found).items() if v == v)
    out.print(f"area under time: {areas}")
