"""`buckler evaluate`: how good is a bundle on these data?"""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from buckler.cli.console import out, step_progress
from buckler.cli.results import print_assessment, print_report
from buckler.dataset import ColumnNames, read_dataset
from buckler.dataset.splits import find_leaks
from buckler.errors import InputError
from buckler.pipeline.evaluate import assess_scorer, leak_notes, write_report
from buckler.readers.quarantine import Quarantine
from buckler.runtime import load
from buckler.tasks import get_bundle_task


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="A .buckler file.")],
    data: Annotated[list[Path], typer.Argument(help="Labeled test files or folders.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the report.")],
    trained_on: Annotated[
        list[Path] | None,
        typer.Option(help="The training data: tells which test rows are not new."),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="The task's .toml file, if it is your own.")
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="Name of the label column.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Name of the text column.")] = None,
    group_column: Annotated[str | None, typer.Option(help="Name of the group column.")] = None,
    slices: Annotated[
        list[str] | None, typer.Option("--slice", help="A further column to slice by.")
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="Read as parquet, csv, jsonl, lines, eml or mbox."),
    ] = None,
    resamples: Annotated[int, typer.Option(help="Of the bootstrap.", min=50, max=10_000)] = 500,
) -> None:
    """Measure a bundle on labeled test data; writes report.html and report.json."""
    scorer = load(bundle)
    the_task = get_bundle_task(task or scorer.manifest.task, scorer.manifest.classes)
    columns = ColumnNames(text_column, label_column, group_column, tuple(slices or ()))
    read = partial(read_dataset, task=the_task, columns=columns, format_name=format_name)
    with step_progress() as progress, Quarantine() as quarantine:
        bar = progress.add_task("reading")
        events = read(data, quarantine=quarantine)
        unlabeled = int((events.labels < 0).sum())
        if unlabeled == len(events):
            raise InputError("no test row has a label; name the column with --label-column")
        if unlabeled:
            events = events.take((events.labels >= 0).nonzero()[0])
        leaks = None
        if trained_on:
            progress.update(bar, description="comparing with the training data")
            leaks = find_leaks(read(trained_on), events)
        progress.update(bar, description="measuring")
        assessment = assess_scorer(
            scorer, events, leaks=leaks, slices=tuple(slices or ()), n_resamples=resamples
        )
        notes = leak_notes(leaks)
        if unlabeled:
            notes += (f"{unlabeled:,} rows without a label were left out.",)
        if quarantine.count:
            notes += (f"{quarantine.summary()[0].upper()}{quarantine.summary()[1:]}.",)
        report = write_report(
            assessment,
            scorer,
            output,
            tested_on=f"{len(events):,} rows from {', '.join(p.name for p in data)}",
            notes=notes,
        )
    print_assessment(assessment)
    for note in notes:
        out.print(f"note: {note}")
    out.print()
    print_report(report)
