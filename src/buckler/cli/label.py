"""`buckler label`: ask a teacher, and keep its annotations."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from buckler.cli import options as opt
from buckler.cli.console import err, out, safe, show_steps
from buckler.cli.results import asking_progress, print_account
from buckler.dataset import ColumnNames, UnknownLabels, read_dataset
from buckler.errors import SettingsError
from buckler.evaluation.report import rate_text
from buckler.labels import LabelStore
from buckler.readers.quarantine import Quarantine
from buckler.tasks import get_task
from buckler.teachers import Budget, Teacher, get_teacher
from buckler.teachers.injection_test import InjectionReport, measure_injections
from buckler.teachers.labeling import LabelPlan, LabelReport, plan
from buckler.teachers.labeling import label as label_events
from buckler.training.selection import SelectionMethod, choose_events, score_pool


def label(
    data: opt.EventFiles,
    task: opt.TaskName,
    teacher: opt.TeacherName,
    settings: opt.TeacherSettings = None,
    store: opt.Store = "labels.db",
    text_column: opt.TextColumn = None,
    label_column: Annotated[
        str | None, typer.Option(help="Name of the label column, to compare with.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(help="Ask about this many events, random ones by default.", min=1)
    ] = None,
    by: Annotated[
        SelectionMethod,
        typer.Option(help="Selection of the sample; near-duplicates are asked about once."),
    ] = SelectionMethod.RANDOM,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", "-b", help="Bundle that scores the events (uncertain, badge)."),
    ] = None,
    seed: opt.Seed = 1,
    budget_usd: opt.BudgetUsd = None,
    budget_tokens: opt.BudgetTokens = None,
    budget_events: opt.BudgetEvents = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate calls, tokens and cost; ask nothing.")
    ] = False,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe-injection", help="Measure how often inserted text changes a positive label."
        ),
    ] = False,
    probe_calls: Annotated[
        int, typer.Option(help="Injected events of this measurement.", min=1)
    ] = 200,
) -> None:
    """Ask a teacher about events and keep its annotations in the label store.

    Each event is asked about once: the same command resumes. A teacher that costs money is asked in
    random order, so a budget pays for a sample of the events.
    """
    if by is not SelectionMethod.RANDOM and sample is None:
        raise SettingsError(f"how many events to select by {by}? name a sample", field="sample")
    the_task = get_task(task)
    the_teacher = get_teacher(teacher, settings, the_task)
    budget = Budget(usd=budget_usd, tokens=budget_tokens, events=budget_events)
    the_teacher.check_budget(budget)
    with LabelStore(store) as opened, Quarantine() as quarantine:
        with show_steps("reading") as on_step:
            columns = ColumnNames(
                text=text_column,
                label=label_column,
                keep=the_teacher.columns,
                unknown_labels=UnknownLabels.SET_ASIDE,
            )
            events = read_dataset(data, the_task, columns, quarantine=quarantine)
            if sample is not None and sample < len(events):
                if by is SelectionMethod.RANDOM:
                    rows = np.random.default_rng(seed).permutation(len(events))[:sample]
                else:
                    on_step("selecting")
                    scores = None if bundle is None else score_pool(events, bundle)
                    rows = choose_events(events, sample, by, probabilities=scores, seed=seed).rows
                events = events.take(np.sort(rows))
            if dry_run:
                _print_plan(plan(events, the_teacher, opened))
            elif probe:
                on_step("testing injections")
                report = measure_injections(
                    events, the_teacher, opened, n_calls=probe_calls, budget=budget
                )
                _print_injections(report, the_teacher)
            else:
                title = f"asking {safe(the_teacher.annotator.name)}"
                done = label_events(
                    events,
                    the_teacher,
                    opened,
                    budget=budget,
                    rng=np.random.default_rng(seed),
                    on_progress=asking_progress(on_step, title),
                )
                _print_report(done, the_teacher)
        if quarantine.count:
            err.print(quarantine.summary())


def _print_report(report: LabelReport, teacher: Teacher) -> None:
    name = str(teacher.annotator)
    given_up = f", {report.given_up:,} given up before" if report.given_up else ""
    elsewhere = f", {report.elsewhere:,} left to another run" if report.elsewhere else ""
    out.print(
        f"{safe(name)}: {report.events:,} events, {report.known:,} annotated before{given_up}, "
        f"{report.new:,} new annotations, {report.silent:,} without one{elsewhere}"
    )
    if report.account is not None:
        print_account(report.account)
    if (found := report.agreement) is not None:
        out.print(f"agrees with {rate_text(found.accuracy, 3)} of {found.n:,} labels of the data")
        if found.warning:
            err.print(f"WARNING: {safe(name)} {found.warning}", style="bold red")
            err.print(
                "to train without it: buckler labels withdraw, or labels.leave_out in a recipe"
            )
        if found.confidence is not None:
            out.print(
                f"calibration: mean confidence {found.confidence:.3f}, expected calibration error "
                f"{found.ece:.3f}, log loss {found.log_loss:.3f}"
            )
        if found.recall is not None and found.false_positives is not None:
            out.print(
                f"calls {rate_text(found.recall, 3)} of positive events positive, and "
                f"{rate_text(found.false_positives, 3)} of the others"
            )
    if report.account is not None:
        total = report.total
        out.print(
            f"in all runs: {total.events:,} events asked, "
            f"{total.input_tokens + total.output_tokens:,} tokens, {total.cost_usd:.4f} USD"
        )


def _print_plan(found: LabelPlan) -> None:
    estimate, spending = found.estimate, found.estimate.spending
    price = "" if estimate.is_priced else " (no price known: set [price])"
    out.print(
        f"{found.events:,} events to ask about ({found.known:,} annotated before) in "
        f"{estimate.calls:,} calls: about {spending.input_tokens:,} tokens in, "
        f"{spending.output_tokens:,} out, {spending.cost_usd:.4f} USD{price}"
    )
    where = "leave this network" if estimate.is_hosted else "stay here"
    redaction = "with" if estimate.is_redacted else "without"
    out.print(f"events {where}, {redaction} redaction; nothing was asked")


def _print_injections(report: InjectionReport, teacher: Teacher) -> None:
    out.print(
        f"{safe(teacher.annotator.name)}: inserted text changed {rate_text(report.flips, 3)} of "
        f"{report.flips.n_rows:,} positive labels; harmless text changed "
        f"{rate_text(report.control, 3)} of {report.control.n_rows:,}"
    )
    if report.detected is not None:
        out.print(f"the detector flagged {rate_text(report.detected, 3)} of the injected events")
    if report.unanswered:
        out.print(f"{report.unanswered:,} injected events got no usable answer")
    for title, rates in (("technique", report.families), ("encoding", report.disguises)):
        table = Table(title, "events", "changed", "95 % interval", box=None)
        for name, rate in rates.items():
            interval = f"{rate.low:.2f} to {rate.high:.2f}"
            table.add_row(name, str(rate.n_rows), f"{rate.value:.2f}", interval)
        out.print(table)
    if report.account is not None:
        print_account(report.account)
