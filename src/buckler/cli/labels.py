"""`buckler labels`: import, export and inspect annotations."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from buckler.cli import options as opt
from buckler.cli.console import err, out, print_table, safe, show_steps
from buckler.dataset import ColumnNames, UnknownLabels, event_id, read_dataset
from buckler.evaluation.report import rate_text
from buckler.labels import Annotator, AnswerColumns, LabelStore, open_existing
from buckler.labels.exchange import export_annotations, import_labels
from buckler.labels.inspection import MIN_SHARED, describe_event, find_conflicts, summarize
from buckler.labels.merging import Merge
from buckler.labels.withdrawal import withdraw_annotator
from buckler.readers.quarantine import Quarantine
from buckler.tasks import Task, get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.noise_estimate import (
    PLACE,
    SourceDispute,
    disputes_by_source,
    estimate_noise,
    write_suspects,
)
from buckler.training.targets import annotations_on

_SHOWN_SOURCES = 12

LeaveOut = Annotated[
    list[str] | None,
    typer.Option("--leave-out", help="Annotator to leave out, NAME or NAME@VERSION; repeatable."),
]
AnnotatorName = Annotated[
    str, typer.Argument(help="Name of the annotator, or NAME@VERSION for one version.")
]

app = typer.Typer(
    help="The label store: annotations of events, kept forever.", no_args_is_help=True
)


@app.command("import")
def import_(
    data: opt.LabeledFiles,
    task: opt.TaskName,
    annotator: Annotated[str, typer.Option(help="Name of the analyst, model or feed.")],
    store: opt.Store = "labels.db",
    version: Annotated[
        str, typer.Option(help="Version of the annotator: model, prompt, date.")
    ] = "",
    kind: Annotated[
        str, typer.Option(help="Kind of annotator: human, llm, model, rule or feed.")
    ] = "feed",
    confidence: Annotated[
        float,
        typer.Option(help="Probability that a label is right, where no column says.", min=0, max=1),
    ] = 1.0,
    text_column: opt.TextColumn = None,
    label_column: opt.LabelColumn = None,
    label_map: opt.LabelMap = None,
    unknown_labels: Annotated[UnknownLabels, opt.UNKNOWN_LABELS] = UnknownLabels.FAIL,
    probability_column: Annotated[
        str | None, typer.Option(help="Column with the probability of a positive class instead.")
    ] = None,
    confidence_column: Annotated[
        str | None, typer.Option(help="Column with the probability that the label is right.")
    ] = None,
    runner_up_column: Annotated[
        str | None, typer.Option(help="Column with the likeliest other class.")
    ] = None,
    rationale_column: Annotated[str | None, typer.Option(help="Column with the reasons.")] = None,
    texts: Annotated[
        bool, typer.Option("--texts/--no-texts", help="Keep the texts too, for review.")
    ] = True,
) -> None:
    """Import labeled rows as the annotations of one annotator."""
    the_task, who = get_task(task), Annotator(annotator, version, kind)
    answers = AnswerColumns(
        probability=probability_column,
        confidence=confidence_column,
        runner_up=runner_up_column,
        rationale=rationale_column,
    )
    columns = ColumnNames(
        text_column,
        label_column,
        label_map=opt.read_label_map(label_map),
        keep=answers.names,
        unknown_labels=unknown_labels,
    )
    with (
        LabelStore(store) as opened,
        Quarantine() as quarantine,
        show_steps("importing"),
    ):
        started = time.monotonic()
        rows, added = import_labels(
            opened,
            read_dataset(data, the_task, columns, quarantine=quarantine),
            who,
            confidence=confidence,
            columns=answers,
            keep_texts=texts,
        )
        seconds = max(time.monotonic() - started, 1e-9)
    out.print(
        f"{rows:,} rows read, {added:,} new annotations of {safe(annotator)} "
        f"({rows / seconds:,.0f} rows/s)"
    )
    if quarantine.count:
        err.print(quarantine.summary())


@app.command()
def export(
    target: Annotated[Path, typer.Argument(help="File to write: .parquet or .jsonl.")],
    task: opt.TaskName,
    store: opt.Store = "labels.db",
    leave_out: LeaveOut = None,
) -> None:
    """Write the annotations of a task to a file, without withdrawn ones."""
    with open_existing(store) as opened:
        n = export_annotations(opened, get_task(task), target, leave_out or ())
    out.print(f"{n:,} annotations: {target}")


@app.command()
def show(
    text: Annotated[str, typer.Argument(help="Text of the event, or its id in hexadecimal.")],
    task: opt.TaskName,
    store: opt.Store = "labels.db",
    reveal: Annotated[
        bool,
        typer.Option("--reveal", help="Show originals that were redacted for hosted teachers."),
    ] = False,
) -> None:
    """Show every annotation of one event, and the target that they give."""
    the_task = get_task(task)
    shown = _shown_id(text, the_task)
    with open_existing(store) as opened:
        record = describe_event(opened, the_task, shown)
    out.print(f"event {shown.hex()}")
    for one in record.annotations:
        who = one.annotator
        note = "" if one.counts else ", withdrawn"
        line = f"  {who.kind} {who.name} {who.version}: {one.label} ({one.probability:.3f}){note}"
        out.print(safe(line, 300))
        if one.rationale:
            out.print(f"    {safe(one.rationale, 500)}")
    for flag, detail in record.flags.items():
        out.print(f"  flag: {flag}, {safe(detail, 300)}")
    if record.originals and not reveal:
        out.print(f"  redacted: {', '.join(record.originals)} (--reveal shows the originals)")
    for placeholder, original in record.originals.items() if reveal else ():
        out.print(f"  {placeholder}: {safe(original, 300)}")
    if record.target is None:
        out.print("  target: none, every annotation was withdrawn")
        return
    why = "a person's label" if record.is_human else "from all annotations"
    out.print(f"  target: {record.target} ({record.target_probability:.3f}), {why}")


@app.command()
def stats(task: opt.TaskName, store: opt.Store = "labels.db", leave_out: LeaveOut = None) -> None:
    """Show annotations, cost and estimated accuracy of each annotator."""
    with open_existing(store) as opened:
        found = summarize(opened, get_task(task), leave_out or ())
    rows = []
    for one in found.annotators:
        who = one.annotator
        row = (safe(who.name), safe(who.version), who.kind, f"{one.n_annotations:,}")
        accuracy = "-" if one.accuracy is None else f"{one.accuracy:.3f}"
        rows.append((*row, f"{one.cost_usd:.2f}", accuracy))
    numbers = ("annotations", "cost in USD", "est. accuracy")
    print_table(("annotator", "version", "kind", *numbers), rows, right=numbers)
    out.print()
    out.print(f"targets: {', '.join(f'{name} {n:,}' for name, n in found.targets.items())}")
    out.print(f"{found.n_events:,} events, {found.n_human:,} decided by a person")
    if any(one.accuracy is None for one in found.annotators):
        out.print(f"-: fewer than {MIN_SHARED} events that another annotated too; not estimated")
    for one in found.annotators:
        if one.withdrawn is not None:
            note = safe(f"{one.annotator.full_name}: {one.withdrawn}".rstrip(": "), 300)
            out.print(f"withdrawn, does not count: {note}")


@app.command()
def withdraw(
    annotator: AnnotatorName,
    task: opt.TaskName,
    store: opt.Store = "labels.db",
    reason: Annotated[str, typer.Option(help="Note to keep with the withdrawal.")] = "",
) -> None:
    """Withdraw an annotator: its annotations stay in the store and no longer count."""
    with open_existing(store) as opened:
        found = withdraw_annotator(opened, get_task(task), annotator, reason=reason)
    names = safe(", ".join(who.full_name for who in found), 300)
    out.print(f"{names}: withdrawn; `buckler labels restore` lets it count again")


@app.command()
def restore(annotator: AnnotatorName, task: opt.TaskName, store: opt.Store = "labels.db") -> None:
    """Let a withdrawn annotator count again."""
    with open_existing(store) as opened:
        found = withdraw_annotator(opened, get_task(task), annotator, withdrawn=False)
    out.print(f"{safe(', '.join(who.full_name for who in found), 300)}: counts again")


@app.command()
def conflicts(
    task: opt.TaskName,
    store: opt.Store = "labels.db",
    limit: Annotated[int, typer.Option(help="Number of events to show.", min=1, max=10_000)] = 20,
    leave_out: LeaveOut = None,
) -> None:
    """Show the events that annotators disagree about most."""
    with open_existing(store) as opened:
        found, n_conflicts, n_events = find_conflicts(
            opened, get_task(task), limit, leave_out or ()
        )
    for one in found:
        text = (one.text or b"").decode("utf-8", "replace")
        out.print(safe(text, 160) or one.event_id.hex())
        for each in one.annotations:
            who = f"{safe(each.annotator.name)} {safe(each.annotator.version)}"
            out.print(f"  {who}: {each.label} {each.probability:.2f}")
    out.print(f"{n_conflicts:,} of {n_events:,} events are in dispute")


@app.command()
def noise(
    data: opt.LabeledFiles,
    task: opt.TaskName,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File for the suspect rows: .csv or .parquet."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", "-s", help="Label store with annotations of a teacher."),
    ] = None,
    text_column: opt.TextColumn = None,
    label_column: opt.LabelColumn = None,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation.", min=2, max=20)] = 5,
    seed: opt.Seed = 0,
    limit: Annotated[int, typer.Option(help="Number of suspects to show.", min=0)] = 10,
) -> None:
    """Estimate the share of wrong labels in each class, and list the most doubtful ones."""
    the_task = get_task(task)
    with Quarantine() as quarantine, show_steps("reading") as on_step:
        columns = ColumnNames(text_column, label_column, keep=PLACE)
        events = read_dataset(data, the_task, columns, quarantine=quarantine)
        annotations = None
        if store is not None:
            with open_existing(store) as opened:
                annotations = annotations_on(events, opened, Merge.MEAN)
        on_step("cross-validating")
        found = estimate_noise(events, StudentSpec(folds=folds, seed=seed), annotations)
    n = len(found.events)
    out.print(
        f"about {found.noise_rate:.1%} of {n:,} labels are wrong by the estimate; "
        f"{len(found.suspects):,} rows are suspect"
    )
    names, rows = the_task.class_names, []
    for index, name in enumerate(names):
        row = found.joint[index]
        if row.sum():
            others = np.where(np.arange(len(row)) == index, 0, row)
            truly = names[int(others.argmax())] if others.any() else "-"
            count = int((found.events.labels == index).sum())
            rows.append((name, f"{count:,}", f"{others.sum() / row.sum():.1%}", truly))
    numbers = ("rows", "est. wrong")
    print_table(("label", *numbers, "most often really"), rows, right=numbers)
    if store is not None:
        _print_disputes(disputes_by_source(found))
    files, lines = (found.events.column(name) for name in PLACE)
    for row in found.suspects[:limit].tolist():
        text = the_task.readable(found.events.raw_text(row))
        place = safe(f"{files[row]}, row {lines[row]}", 80)
        label, better = names[found.events.labels[row]], names[found.suggested[row]]
        out.print(
            f"{place}: {label}, rather {better} ({found.quality[row]:.3f}): {safe(text, 120)}"
        )
    if output is not None:
        write_suspects(found, output)
        out.print(f"suspects: {output}")
    if quarantine.count:
        err.print(quarantine.summary())


def _print_disputes(disputes: list[SourceDispute]) -> None:
    numbers = ("annotated", "contradicted")
    rows = [
        (
            safe(one.source or "-", 60),
            one.label,
            f"{one.contradicted.n_rows:,}",
            rate_text(one.contradicted, 2),
        )
        for one in disputes[:_SHOWN_SOURCES]
    ]
    out.print()
    print_table(("source", "label", *numbers), rows, right=numbers)


def _shown_id(text: str, task: Task) -> bytes:
    if len(text) == 32 and all(c in "0123456789abcdef" for c in text):
        return bytes.fromhex(text)
    return event_id(text.encode("utf-8", "surrogatepass"), task)
