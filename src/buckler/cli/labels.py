"""`buckler labels`: annotations in, out, and what they say."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from buckler.cli.console import err, out, safe, step_progress
from buckler.dataset import ColumnNames, id_of_text, read_dataset
from buckler.errors import InputError
from buckler.labels import Annotator, LabelStore, open_existing
from buckler.labels.exchange import export_annotations, import_labels
from buckler.labels.ledger import flags_of, redactions_of
from buckler.labels.merging import Merge, merge_annotations
from buckler.readers.quarantine import Quarantine
from buckler.tasks import Task, get_task
from buckler.training.cross_validation import StudentSpec
from buckler.training.noise_estimate import estimate_noise, write_suspects

app = typer.Typer(
    help="The label store: who said what of which event, kept for ever.", no_args_is_help=True
)

MIN_SHARED = 20

Store = Annotated[
    str, typer.Option("--store", "-s", help="A file, or a PostgreSQL URL.", envvar="BUCKLER_LABELS")
]
TaskName = Annotated[str, typer.Option("--task", "-t", help="A task, or a .toml file of your own.")]


@app.command("import")
def import_(
    data: Annotated[list[Path], typer.Argument(help="Labeled files or folders.")],
    task: TaskName,
    annotator: Annotated[str, typer.Option(help="Who says so: an analyst, a model, a feed.")],
    store: Store = "labels.db",
    version: Annotated[
        str, typer.Option(help="Version of the annotator: model, prompt, date.")
    ] = "",
    kind: Annotated[str, typer.Option(help="human, llm, model, rule or feed.")] = "feed",
    confidence: Annotated[
        float, typer.Option(help="Probability that a label is right.", min=0, max=1)
    ] = 1.0,
    text_column: Annotated[str | None, typer.Option(help="Name of the text column.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Name of the label column.")] = None,
    probability_column: Annotated[
        str | None, typer.Option(help="Column with the probability of the positive class instead.")
    ] = None,
    texts: Annotated[
        bool, typer.Option("--texts/--no-texts", help="Keep the texts too, for review.")
    ] = True,
) -> None:
    """Take labeled rows over as the annotations of one annotator."""
    the_task, who = get_task(task), Annotator(annotator, version, kind)
    with LabelStore(store) as opened, Quarantine() as quarantine, step_progress() as progress:
        progress.add_task("importing")
        started = time.monotonic()
        rows, added = import_labels(
            opened,
            data,
            the_task,
            who,
            confidence=confidence,
            text_column=text_column,
            label_column=label_column,
            probability_column=probability_column,
            keep_texts=texts,
            quarantine=quarantine,
        )
        seconds = max(time.monotonic() - started, 1e-9)
    out.print(
        f"{rows:,} rows read, {added:,} new annotations of {safe(annotator)} "
        f"({rows / seconds:,.0f} rows/s)"
    )
    if quarantine.count:
        err.print(quarantine.summary())


@app.command("export")
def export(
    target: Annotated[Path, typer.Argument(help="The .parquet or .jsonl file to write.")],
    task: TaskName,
    store: Store = "labels.db",
) -> None:
    """Write all annotations of a task to a file."""
    with open_existing(store) as opened:
        out.print(f"{export_annotations(opened, get_task(task), target):,} annotations: {target}")


@app.command("show")
def show(
    text: Annotated[str, typer.Argument(help="The event's text, or its id in hexadecimal.")],
    task: TaskName,
    store: Store = "labels.db",
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show what was redacted for hosted teachers.")
    ] = False,
) -> None:
    """Show every annotation of one event, and the target that they give."""
    the_task = get_task(task)
    event_id = _event_id(text)
    with open_existing(store) as opened:
        annotators = opened.annotators()
        batches = list(opened.annotations(the_task, event_id))
        if not batches:
            raise InputError(f"no annotation of this event for task {the_task.name!r}")
        out.print(f"event {event_id.hex()}")
        for batch in batches:
            for i in range(len(batch)):
                who = annotators[int(batch.annotators[i])]
                best = int(batch.probabilities[i].argmax())
                line = f"  {who.kind} {who.name} {who.version}: {the_task.class_names[best]} "
                out.print(safe(line + f"({batch.probabilities[i, best]:.3f})", 300))
                if batch.rationales[i]:
                    out.print(f"    {safe(str(batch.rationales[i]), 500)}")
        for flag, detail in flags_of(opened, event_id).items():
            out.print(f"  flag: {flag}, {safe(detail, 300)}")
        originals = redactions_of(opened, [event_id]).get(event_id, {})
        if originals and not reveal:
            out.print(f"  redacted: {', '.join(originals)} (--reveal shows what they stand for)")
        for placeholder, original in originals.items() if reveal else ():
            out.print(f"  {placeholder}: {safe(original, 300)}")
        merged = merge_annotations(opened.annotations(the_task), annotators, Merge.DAWID_SKENE)
    if event_id not in merged.event_ids:
        out.print("  target: none, every annotation was withdrawn")
        return
    row = merged.event_ids.index(event_id)
    best = int(merged.probabilities[row].argmax())
    why = "a human's verdict" if merged.human[row] else "all annotations weighed"
    shown = f"{the_task.class_names[best]} ({merged.probabilities[row, best]:.3f})"
    out.print(f"  target: {shown}, {why}")


@app.command("stats")
def stats(task: TaskName, store: Store = "labels.db") -> None:
    """Show who said how much at what cost, and how often each is right by the estimate."""
    the_task = get_task(task)
    with open_existing(store) as opened:
        annotators = opened.annotators()
        counts = [row for row in opened.counts() if row[0] == the_task.name]
        if not counts:
            raise InputError(f"no annotation for task {the_task.name!r} in {store}")
        merged = merge_annotations(opened.annotations(the_task), annotators, Merge.DAWID_SKENE)
    by_annotator = {
        annotators[k]: a for k, a in merged.accuracy.items() if merged.n_shared[k] >= MIN_SHARED
    }
    table = Table(box=None, pad_edge=False)
    for heading in ("annotator", "version", "kind", "annotations", "cost in USD", "est. accuracy"):
        table.add_column(heading, justify="right" if heading[0] in "oce" else "left")
    for _, who, n, cost in counts:
        row = (safe(who.name), safe(who.version), who.kind, f"{n:,}", f"{cost:.2f}")
        table.add_row(*row, f"{by_annotator[who]:.3f}" if who in by_annotator else "-")
    out.print(table)
    out.print()
    _print_targets(merged.probabilities, the_task)
    out.print(f"{len(merged.event_ids):,} events, {int(merged.human.sum()):,} decided by a human")
    if len(by_annotator) < len(counts):
        out.print(f"-: fewer than {MIN_SHARED} events that another judged too; taken on trust")


def _print_targets(
    probabilities: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", task: Task
) -> None:
    verdicts = np.bincount(probabilities.argmax(axis=1), minlength=len(task.classes))
    shown = [f"{name} {n:,}" for name, n in zip(task.class_names, verdicts, strict=True) if n]
    out.print(f"targets: {', '.join(shown)}")


@app.command("conflicts")
def conflicts(
    task: TaskName,
    store: Store = "labels.db",
    limit: Annotated[int, typer.Option(help="How many to show.", min=1, max=10_000)] = 20,
) -> None:
    """Show the events that annotators disagree about most."""
    the_task = get_task(task)
    with open_existing(store) as opened:
        annotators = opened.annotators()
        merged = merge_annotations(opened.annotations(the_task), annotators, Merge.MEAN)
        several = np.flatnonzero(
            (merged.n_annotations > 1) & (merged.probabilities.max(axis=1) < 1)
        )
        order = several[np.argsort(merged.probabilities[several].max(axis=1), kind="stable")]
        ids = [merged.event_ids[row] for row in order[:limit]]
        texts = opened.texts(ids)
        for event_id in ids:
            text = texts.get(event_id, b"").decode("utf-8", "replace")
            out.print(safe(text, 160) or event_id.hex())
            for batch in opened.annotations(the_task, event_id):
                for i in range(len(batch)):
                    who = annotators[int(batch.annotators[i])]
                    best = int(batch.probabilities[i].argmax())
                    said = f"{the_task.class_names[best]} {batch.probabilities[i, best]:.2f}"
                    out.print(f"  {safe(who.name)} {safe(who.version)}: {said}")
    out.print(f"{len(several):,} of {len(merged.event_ids):,} events are in dispute")


@app.command("noise")
def noise(
    data: Annotated[list[Path], typer.Argument(help="Labeled files or folders.")],
    task: TaskName,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .csv file for the suspect rows.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Name of the text column.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Name of the label column.")] = None,
    folds: Annotated[int, typer.Option(help="Of cross-fitting.", min=2, max=20)] = 5,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="How many suspects to show.", min=0)] = 10,
) -> None:
    """Estimate how many labels are wrong, class by class, and list the most doubtful ones."""
    the_task = get_task(task)
    with Quarantine() as quarantine, step_progress() as progress:
        bar = progress.add_task("reading")
        events = read_dataset(
            data, the_task, ColumnNames(text=text_column, label=label_column), quarantine=quarantine
        )
        progress.update(bar, description="cross-fitting")
        found = estimate_noise(events, StudentSpec(folds=folds, seed=seed))
    n = len(found.events)
    out.print(
        f"about {found.noise_rate:.1%} of {n:,} labels are wrong by the estimate; "
        f"{len(found.suspects):,} rows are suspect"
    )
    table = Table(box=None, pad_edge=False)
    for heading in ("label", "rows", "est. wrong", "most often really"):
        table.add_column(heading, justify="right" if heading in ("rows", "est. wrong") else "left")
    names = the_task.class_names
    for index, name in enumerate(names):
        row = found.joint[index]
        if row.sum():
            others = np.where(np.arange(len(row)) == index, 0, row)
            truly = names[int(others.argmax())] if others.any() else "-"
            count = int((found.events.labels == index).sum())
            table.add_row(name, f"{count:,}", f"{others.sum() / row.sum():.1%}", truly)
    out.print(table)
    for row in found.suspects[:limit].tolist():
        text = the_task.readable(found.events.raw_texts[row].as_py())
        label, better = names[found.events.labels[row]], names[found.suggested[row]]
        out.print(f"{label}, rather {better} ({found.quality[row]:.3f}): {safe(text, 120)}")
    if output is not None:
        write_suspects(found, output)
        out.print(f"suspects: {output}")
    if quarantine.count:
        err.print(quarantine.summary())


def _event_id(text: str) -> bytes:
    if len(text) == 32 and all(c in "0123456789abcdef" for c in text):
        return bytes.fromhex(text)
    return id_of_text(text.encode("utf-8", "surrogatepass"))
