"""`buckler agree` and `buckler escalate`: a bundle in place of its teacher, as far as it agrees."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import err, out, safe, show_steps
from buckler.cli.results import asking_progress, print_account, print_report, print_rows
from buckler.dataset import ColumnNames
from buckler.evaluation.agreement_report import agreement_table
from buckler.pipeline import agree as agreement
from buckler.pipeline import escalate as escalation
from buckler.pipeline.agree import AgreeOptions
from buckler.runtime import load
from buckler.tasks import get_bundle_task
from buckler.teachers import Budget, Teacher, get_teacher

_SHOWN = 5


def agree(
    bundle: opt.BundleArgument,
    data: opt.EventFiles,
    teacher: opt.TeacherName,
    output: opt.ReportFolder,
    settings: opt.TeacherSettings = None,
    target: Annotated[
        float, typer.Option(help="Agreement to hold on the answered events.", min=0, max=1)
    ] = 0.97,
    confidence: Annotated[
        float, typer.Option(help="Probability that it holds.", min=0, max=1)
    ] = 0.95,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Hold it within each class that is answered.")
    ] = False,
    trained_on: Annotated[
        list[Path] | None, typer.Option(help="Training files: events like theirs are left out.")
    ] = None,
    store: opt.Store = "labels.db",
    budget_usd: opt.BudgetUsd = None,
    budget_tokens: opt.BudgetTokens = None,
    usd_per_event: Annotated[
        float | None, typer.Option(help="Price of an answer, where the store knows none.", min=0)
    ] = None,
    task: opt.TaskFile = None,
    text_column: opt.TextColumn = None,
    group_column: opt.GroupColumn = None,
    format_name: opt.FormatName = None,
) -> None:
    """Bound how far a bundle agrees with its teacher.

    The events must be ones that it has not learned from. Writes agreement.html, agreement.json and
    disagreements.csv.
    """
    options = AgreeOptions(
        target=target,
        confidence=confidence,
        per_class=per_class,
        trained_on=tuple(trained_on or ()),
        store=store,
        budget=Budget(usd=budget_usd, tokens=budget_tokens),
        usd_per_event=usd_per_event,
        task=task,
        columns=ColumnNames(text_column, group=group_column),
        format=format_name,
    )
    the_teacher = _get_teacher(bundle, teacher, settings, task)
    with show_steps("loading") as on_step:
        found = agreement.agree(
            bundle,
            data,
            output,
            the_teacher,
            options,
            on_step=on_step,
            on_progress=asking_progress(on_step),
        )
    print_rows(agreement_table(found.bound))
    out.print(f"\n{found.bound.sentence()}")
    out.print(found.saving)
    for count, text in (
        (found.n_undecided, "annotations name no likeliest class: they agree with no answer"),
        (found.n_left_out, "events stand in the training data, or nearly do: left out"),
        (found.n_unanswered, "events have no annotation: left out"),
    ):
        if count:
            out.print(f"{count:,} {text}")
    if found.disagreements:
        out.print(f"\n{len(found.disagreements):,} sure answers that the teacher contradicts:")
    for one in found.disagreements[:_SHOWN]:
        out.print(
            f"  {one.by_bundle} {one.probability:.3f}, {one.by_teacher}: {safe(one.text, 90)}"
        )
    print_report(found.report)


def escalate(
    bundle: opt.BundleArgument,
    data: opt.EventFiles,
    teacher: opt.TeacherName,
    agreement_file: Annotated[
        Path,
        typer.Option("--agreement", help="File agreement.json of buckler agree, or its folder."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Answers: .parquet, .csv or .jsonl.")
    ],
    settings: opt.TeacherSettings = None,
    store: opt.Store = "labels.db",
    budget_usd: opt.BudgetUsd = None,
    budget_tokens: opt.BudgetTokens = None,
    budget_events: opt.BudgetEvents = None,
    task: opt.TaskFile = None,
    text_column: opt.TextColumn = None,
    format_name: opt.FormatName = None,
) -> None:
    """Answer events with a bundle where it is sure, and with its teacher elsewhere."""
    options = AgreeOptions(
        store=store,
        budget=Budget(usd=budget_usd, tokens=budget_tokens, events=budget_events),
        task=task,
        columns=ColumnNames(text_column),
        format=format_name,
    )
    the_teacher = _get_teacher(bundle, teacher, settings, task)
    with show_steps("loading") as on_step:
        done = escalation.escalate(
            bundle,
            data,
            output,
            the_teacher,
            agreement_file,
            options,
            on_progress=asking_progress(on_step),
        )
    if done.quarantine:
        err.print(done.quarantine)
    if done.account is not None:
        print_account(done.account)
    out.print(done.saving)
    if done.n_open:
        err.print(f"{done.n_open:,} unsure events carry the bundle's answer: run again to ask")
    out.print(f"answers {output}")


def _get_teacher(bundle: Path, kind: str, settings: Path | None, task: str | None) -> Teacher:
    return get_teacher(kind, settings, get_bundle_task(load(bundle).manifest, task))
