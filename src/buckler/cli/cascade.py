"""`buckler cascade`: several bundles as one, cheapest first."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from buckler.bundle.reader import read_bundle
from buckler.cli.console import out, step_progress
from buckler.cli.options import Seed, TaskFile
from buckler.cli.results import print_assessment, print_comparison, print_report
from buckler.dataset import read_dataset
from buckler.pipeline.compare import comparison, measure_bundle
from buckler.pipeline.evaluate import assess_scorer, report_context, write_report
from buckler.readers.quarantine import Quarantine
from buckler.runtime import load
from buckler.tasks import get_bundle_task
from buckler.training.cascade import CascadeOptions, build_cascade


def cascade(
    stages: Annotated[list[Path], typer.Argument(help="Bundles of one task, cheapest first.")],
    validate: Annotated[
        list[Path],
        typer.Option("--validate", help="Labeled events that no stage has learned from."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Bundle file to write.")],
    budget: Annotated[
        list[float],
        typer.Option(
            "--budget",
            help="Share of all events that a stage may pass on; one per stage but the last.",
        ),
    ],
    review: Annotated[float, typer.Option(help="Share of all events marked for review.")] = 0.0,
    fpr: Annotated[float, typer.Option(help="False-positive rate to deploy at.")] = 1e-2,
    prevalence: Annotated[
        float | None,
        typer.Option(help="Share of positive events in production, for which the budgets hold."),
    ] = None,
    test: Annotated[
        list[Path] | None, typer.Option("--test", help="Labeled events for the report.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
    task: TaskFile = None,
    seed: Seed = 0,
) -> None:
    """Join bundles: each passes on the events that it is unsure of.

    The budget limits the share that goes on; the events and thresholds are chosen on labeled events.
    """
    first = load(stages[0])
    the_task = get_bundle_task(task or first.manifest.task, first.manifest.classes)
    with step_progress() as progress, Quarantine() as quarantine:
        bar = progress.add_task("reading")
        events = read_dataset(validate, the_task, quarantine=quarantine)
        events = events.take((events.labels >= 0).nonzero()[0])
        progress.update(bar, description="choosing")
        made = build_cascade(
            stages,
            events,
            output,
            CascadeOptions(budget, review, fpr, prevalence, seed),
        )
    table = Table(box=None, pad_edge=False)
    for heading in ("stage", "bundle", "share of events"):
        table.add_column(heading, justify="right" if heading.startswith("share") else "left")
    names = [str(path) for path in stages] + ["a person"]
    for number, (name, share) in enumerate(zip(names, made.shares, strict=False), 1):
        table.add_row(str(number), name, f"{share:.4f}")
    out.print(table)
    out.print(f"\nbundle  {output} ({output.stat().st_size:,} bytes)")
    if not test:
        return
    with step_progress() as progress:
        progress.add_task("measuring")
        rows = read_dataset(test, the_task)
        rows = rows.take((rows.labels >= 0).nonzero()[0])
        scorer = load(output)
        assessment = assess_scorer(scorer, rows)
        contenders = [measure_bundle(path.stem, read_bundle(path), rows, 200) for path in stages]
        own = read_bundle(output)
        contenders.append(measure_bundle(output.stem, own, rows, 200, assessment))
        beside = comparison(contenders, assessment)
        decided = scorer.score(rows.raw_texts).stage
    print_assessment(assessment)
    out.print()
    print_comparison(beside)
    notes: tuple[str, ...] = ()
    if decided is not None:
        shares = [f"{(decided > i).mean():.4f}" for i in range(len(stages))]
        notes = (f"Share of the test rows that reached each stage: {', '.join(shares)}.",)
        out.print(f"\n{notes[0]}")
    if report is not None:
        names_of_test = ", ".join(path.name for path in test)
        tested_on = f"{len(rows):,} rows from {names_of_test}"
        context = replace(report_context(scorer, tested_on, notes), comparison=beside)
        print_report(write_report(assessment, context, report))
