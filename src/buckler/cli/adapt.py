"""`buckler adapt`: a bundle of public data becomes one for a stream of your own."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import err, out, print_table, safe, show_steps
from buckler.cli.results import asking_progress, print_report
from buckler.dataset import ColumnNames
from buckler.pipeline.adapt import adapt as adapt_bundle
from buckler.pipeline.adaptation_report import AdaptationResult
from buckler.pipeline.own_events import AdaptOptions
from buckler.runtime import load
from buckler.tasks import get_bundle_task, get_task
from buckler.teachers import Budget, get_teacher


def adapt(
    start: Annotated[
        str,
        typer.Argument(help="Bundle to start from, or a task file (.toml) to start from nothing."),
    ],
    events: Annotated[
        list[Path], typer.Option("--events", help="Files or folders of your own events.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Bundle to write.")],
    teacher: opt.OptionalTeacherName = None,
    settings: opt.TeacherSettings = None,
    asks: Annotated[
        int, typer.Option(help="Number of events to ask about, earlier answers included.", min=1)
    ] = 300,
    random_share: Annotated[
        float, typer.Option(help="Share of them drawn at random, for the figures.", min=0, max=1)
    ] = 1 / 3,
    labels: Annotated[
        list[Path] | None, typer.Option(help="Labeled files of your own events.")
    ] = None,
    benign_except: Annotated[
        float | None,
        typer.Option(
            "--assume-benign",
            help="Take the stream for ordinary, except for this share of it.",
            min=0,
            max=0.9,
        ),
    ] = None,
    test: Annotated[
        list[Path] | None,
        typer.Option(help="Labeled files of own events that are only measured, never learned."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Folder of the report; by default it lies beside the bundle."),
    ] = None,
    target_fpr: Annotated[
        float, typer.Option(help="False-positive rate on your stream to keep within.")
    ] = 0.01,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Name or .toml file of the bundle's task.")
    ] = None,
    store: opt.Store = "labels.db",
    budget_usd: opt.BudgetUsd = None,
    budget_tokens: opt.BudgetTokens = None,
    text_column: opt.TextColumn = None,
    label_column: opt.LabelColumn = None,
    format_name: opt.FormatName = None,
    seed: opt.Seed = 0,
) -> None:
    """Adapt a bundle to a stream of your own, with a teacher or your labels.

    A stopped run resumes: no event is asked about twice.
    """
    the_teacher = None
    if teacher is not None:
        if start.endswith(".toml"):
            the_task = get_task(task or start)
        else:
            the_task = get_bundle_task(load(start).manifest, task)
        the_teacher = get_teacher(teacher, settings, the_task)
    options = AdaptOptions(
        asks=asks,
        random_share=random_share,
        labels=tuple(labels or ()),
        benign_except=benign_except,
        store=store,
        budget=Budget(usd=budget_usd, tokens=budget_tokens),
        target_fpr=target_fpr,
        task=task,
        test=tuple(test or ()),
        report=report,
        columns=ColumnNames(text=text_column, label=label_column),
        format=format_name,
        seed=seed,
    )
    with show_steps("reading") as on_step:
        show = asking_progress(on_step)
        result = adapt_bundle(
            start, events, output, the_teacher, options, on_step=on_step, on_progress=show
        )
    print_adaptation(result)


def print_adaptation(result: AdaptationResult) -> None:
    """Print figures before and after, and where the bundle lies."""
    if result.quarantine:
        err.print(result.quarantine)
    if result.stopped:
        err.print(f"asking stopped: {safe(result.stopped)}")
    paid = f"{result.total_usd:.4f} USD"
    if result.cost_usd != result.total_usd:
        paid += f", {result.cost_usd:.4f} of it in this run"
    out.print(
        f"{result.n_stream:,} own events, {result.n_labeled:,} of them labeled "
        f"({safe(result.answered_by)}), {paid}"
    )
    measured = f"{result.n_measured:,} own events that stand for the stream, each scored without "
    measured += "learning from its group"
    if result.n_test:
        measured += f"; and on {result.n_test:,} events of the test"
    out.print(f"figures on {measured}\n")
    table = result.table()
    print_table(table.heading, table.rows)
    out.print()
    if not result.is_better:
        out.print("The start is as good or better on your events: it was kept unchanged.")
    out.print(f"bundle  {result.bundle} ({result.bundle.stat().st_size:,} bytes)")
    if result.report is not None:
        print_report(result.report)
    out.print(f"next    buckler scan FILES -b {result.bundle} -o verdicts.parquet")
