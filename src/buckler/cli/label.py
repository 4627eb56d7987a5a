"""`buckler label`: ask a teacher, and keep what it says."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from buckler.cli.console import err, out, safe, step_progress
from buckler.cli.options import BudgetTokens, BudgetUsd
from buckler.cli.results import print_account
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.errors import SettingsError
from buckler.evaluation.intervals import Rate, wilson
from buckler.evaluation.metrics import expected_calibration_error
from buckler.labels import LabelStore
from buckler.labels.ledger import Ledger
from buckler.readers.quarantine import Quarantine
from buckler.tasks import Task, get_task
from buckler.teachers import Teacher, get_teacher
from buckler.teachers.llm.language_model import LanguageModelTeacher
from buckler.teachers.llm.limits import Budget
from buckler.teachers.llm.paid_run import Account
from buckler.teachers.probe import probe_injection
from buckler.teachers.run import Labeled, Progress, check_price, label_events, plan_run

MIN_COMPARED = 30


def label(
    data: Annotated[list[Path], typer.Argument(help="Files or folders of events.")],
    task: Annotated[str, typer.Option("--task", "-t", help="A task, or a .toml file of your own.")],
    teacher: Annotated[
        str,
        typer.Option(
            help="Who is asked: chat, anthropic, gguf, encoder, rules, sigma, recorded, ensemble."
        ),
    ],
    settings: Annotated[Path | None, typer.Option("--settings", help="The teacher's file.")] = None,
    store: Annotated[
        str,
        typer.Option("--store", "-s", help="A file, or a PostgreSQL URL.", envvar="BUCKLER_LABELS"),
    ] = "labels.db",
    text_column: Annotated[str | None, typer.Option(help="Name of the text column.")] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Name of a label column, to compare with.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(help="Ask about so many events, drawn at random.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.", min=0)] = 1,
    budget_usd: BudgetUsd = None,
    budget_tokens: BudgetTokens = None,
    budget_events: Annotated[
        int | None, typer.Option(help="Ask about at most so many events.", min=0)
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate calls, tokens and cost; ask nothing.")
    ] = False,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe-injection", help="Measure how often planted text turns a positive verdict."
        ),
    ] = False,
    probe_calls: Annotated[
        int, typer.Option(help="Injected events to ask about in a probe.", min=1)
    ] = 200,
) -> None:
    """Ask a teacher about events, once for each; its annotations go to the label store."""
    the_task = get_task(task)
    who = get_teacher(teacher, settings, the_task)
    budget = Budget(usd=budget_usd, tokens=budget_tokens, events=budget_events)
    check_price(who, budget)
    with LabelStore(store) as opened, Quarantine() as quarantine:
        with step_progress() as progress:
            progress.add_task("reading")
            events = read_dataset(
                data,
                the_task,
                ColumnNames(text=text_column, label=label_column, keep=who.columns),
                quarantine=quarantine,
            )
        if sample is not None and sample < len(events):
            rows = np.random.default_rng(seed).permutation(len(events))[:sample]
            events = events.take(np.sort(rows))
        if dry_run:
            _print_plan(opened, who, events)
        elif probe:
            _print_probe(opened, who, events, probe_calls, budget)
        else:
            _run(opened, who, events, budget)
        if quarantine.count:
            err.print(quarantine.summary())


def _run(store: LabelStore, who: Teacher, events: Dataset, budget: Budget) -> None:
    task = events.task
    started = time.monotonic()
    with step_progress() as progress:
        bar = progress.add_task("asking")

        def advance(now: Progress) -> None:
            seconds = time.monotonic() - started
            rest = seconds / max(now.done, 1) * (now.total - now.done)
            left = f", {rest:,.0f} s left" if now.done else ""
            cost = f", {_cost(now.account)}" if now.account is not None else ""
            progress.update(
                bar,
                description=f"asking {safe(now.who)}: {now.done:,} of {now.total:,}{cost}{left}",
            )

        result = label_events(store, who, events, budget=budget, on_progress=advance)
    for name, member in result.members.items():
        _print_result(name, member, task)
    name = f"{who.annotator.name} {who.annotator.version}".strip()
    _print_result(name, result, task)
    if isinstance(who, LanguageModelTeacher):
        total = Ledger(store, task, who.annotator).spent()
        out.print(
            f"in all runs: {total.events:,} events asked, "
            f"{total.input_tokens + total.output_tokens:,} tokens, {total.cost_usd:.4f} USD"
        )


def _print_result(name: str, result: Labeled, task: Task) -> None:
    given_up = f", {result.given_up:,} given up before" if result.given_up else ""
    out.print(
        f"{safe(name)}: {result.events:,} events, {result.known:,} judged before{given_up}, "
        f"{result.new:,} new annotations, {result.silent:,} without one"
    )
    if result.account is not None:
        print_account(result.account)
    n = len(result.labels)
    if not n:
        return
    right = result.probabilities.argmax(axis=1) == result.labels
    out.print(f"agrees with {_rate(wilson(int(right.sum()), n))} of {n:,} labels of the data")
    if n >= MIN_COMPARED:
        confidence = result.probabilities.max(axis=1)
        error = expected_calibration_error(confidence, right)
        own = result.probabilities[np.arange(n), result.labels]
        loss = float(-np.log(np.maximum(own, 1e-12)).mean())
        out.print(
            f"calibration: mean confidence {confidence.mean():.3f}, expected calibration error "
            f"{error:.3f}, log loss {loss:.3f}"
        )
        if task.positive:
            _print_positive(result, task)


def _print_positive(result: Labeled, task: Task) -> None:
    positive = np.array([name in task.positive for name in task.classes])
    said, is_positive = positive[result.probabilities.argmax(axis=1)], positive[result.labels]
    if is_positive.any() and (~is_positive).any():
        caught = wilson(int((said & is_positive).sum()), int(is_positive.sum()))
        detections = wilson(int((said & ~is_positive).sum()), int((~is_positive).sum()))
        out.print(f"of the bad it calls {_rate(caught)} bad, of the rest {_rate(detections)}")


def _print_plan(store: LabelStore, who: Teacher, events: Dataset) -> None:
    if not isinstance(who, LanguageModelTeacher):
        raise SettingsError(f"the teacher {who.kind!r} costs nothing: there is nothing to estimate")
    plan = plan_run(store, who, events)
    price = "" if who.price is not None else " (no price known: set [price])"
    out.print(
        f"{plan.events:,} events to ask about ({plan.known:,} judged before) in {plan.calls:,} "
        f"calls: about {plan.estimate.input_tokens:,} tokens in, "
        f"{plan.estimate.output_tokens:,} out, {plan.estimate.cost_usd:.4f} USD{price}"
    )
    where = "leaves this network" if who.hosted else "stays here"
    redaction = "with" if who.redacts else "without"
    out.print(f"what is sent {where}, {redaction} redaction; nothing was asked")


def _print_probe(
    store: LabelStore, who: Teacher, events: Dataset, n_calls: int, budget: Budget
) -> None:
    with step_progress() as progress:
        progress.add_task("probing")
        probe = probe_injection(store, who, events, n_calls=n_calls, budget=budget)
    out.print(
        f"{safe(who.annotator.name)}: planted text turned {_rate(probe.flips)} of "
        f"{probe.flips.n_rows:,} positive verdicts; harmless text turned {_rate(probe.control)} of "
        f"{probe.control.n_rows:,}"
    )
    if probe.detected is not None:
        out.print(f"the detector flagged {_rate(probe.detected)} of the injected events")
    if probe.unanswered:
        out.print(f"{probe.unanswered:,} injected events got no usable answer")
    for title, rates in (("move", probe.families), ("written", probe.disguises)):
        table = Table(title, "events", "turned", "95 % interval", box=None)
        for name, rate in rates.items():
            interval = f"{rate.low:.2f} to {rate.high:.2f}"
            table.add_row(name, str(rate.n_rows), f"{rate.value:.2f}", interval)
        out.print(table)
    if probe.account is not None:
        print_account(probe.account)


def _rate(rate: Rate) -> str:
    return f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})"


def _cost(account: Account) -> str:
    return f"{account.spent.cost_usd:.4f} USD, {account.spent.tokens:,} tokens"
