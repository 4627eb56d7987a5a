"""`buckler synthesize`: synthetic examples of what is rare or unseen, and the proof that they help."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from buckler.cli.console import err, out, safe, step_progress
from buckler.cli.options import BudgetTokens, BudgetUsd, ModelSettings, PaidStore
from buckler.cli.results import print_account, print_estimate
from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.errors import SettingsError
from buckler.labels import LabelStore
from buckler.readers.quarantine import Quarantine
from buckler.synthesis.filters import GateSettings, Judge
from buckler.synthesis.generate import Synthesis, orders, synthesize
from buckler.synthesis.generator import Generator, get_generator, list_generators
from buckler.synthesis.judges import STUDENT_LIMIT, student_judge, teacher_judge
from buckler.synthesis.plan import Plan, read_plan
from buckler.synthesis.scribe import get_writer
from buckler.synthesis.synthetic_examples import (
    SyntheticExample,
    read_synthetic_examples,
    write_synthetic_examples,
)
from buckler.synthesis.writer import Writer
from buckler.tasks import get_task
from buckler.teachers import get_teacher
from buckler.teachers.budget import Account, Budget
from buckler.training.synthesis_trial import WEIGHT, kind_of, prove, rows_of_kind

WRITERS = ("chat", "anthropic", "gguf")


def synth(
    data: Annotated[
        list[Path],
        typer.Argument(help="Labeled real events: seeds, and what synthetic examples must fit."),
    ],
    task: Annotated[str, typer.Option("--task", "-t", help="A task, or a .toml file of your own.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The .parquet file of synthetic examples to write."),
    ],
    number: Annotated[
        int, typer.Option("--number", "-n", help="Synthetic examples wanted.", min=1)
    ] = 1000,
    by: Annotated[
        str | None,
        typer.Option(help="Who writes: grammar, mutation, crossing, chat, anthropic, gguf."),
    ] = None,
    settings: ModelSettings = None,
    plan: Annotated[
        Path | None, typer.Option(help="A plan of your own; by default the task's.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Cells to write for, as NAME=VALUE,VALUE; may be repeated."),
    ] = None,
    judge: Annotated[
        str, typer.Option(help="Who must agree with the label: student, none, or a teacher.")
    ] = "student",
    judge_settings: Annotated[Path | None, typer.Option(help="The judge's file.")] = None,
    real_vs_synthetic: Annotated[
        float,
        typer.Option(help="Drop what a classifier knows for made up so surely.", min=0.5, max=1),
    ] = 1.0,
    apart_from: Annotated[
        list[Path] | None, typer.Option(help="Further real events that none may repeat: a test.")
    ] = None,
    prove_it: Annotated[
        bool, typer.Option("--prove", help="Train with and without; say whether they help.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Of the proof.", min=2, max=50)] = 5,
    weight: Annotated[
        float,
        typer.Option(help="Of a synthetic example beside a real event, in the proof.", min=0.001),
    ] = WEIGHT,
    hold_out: Annotated[
        str | None,
        typer.Option(
            help="COLUMN=VALUE,VALUE: real events of this kind teach neither student and no "
            "writer; the proof measures whether they are found."
        ),
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Name of the text column.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Name of the label column.")] = None,
    format_name: Annotated[
        str | None, typer.Option("--format", help="Read as this format, whatever the suffix.")
    ] = None,
    store: PaidStore = "labels.db",
    budget_usd: BudgetUsd = None,
    budget_tokens: BudgetTokens = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate calls, tokens and cost; write nothing.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 0,
) -> None:
    """Write synthetic examples, filter them, and measure whether they help."""
    the_task = get_task(task)
    the_plan = read_plan(the_task, plan)
    by = by or ("crossing" if the_task.features else "grammar")
    if only:
        the_plan = the_plan.matching(dict(kind_of(text) for text in only))
    column = kind_of(hold_out)[0] if hold_out else ""
    with Quarantine() as quarantine, step_progress() as progress:
        bar = progress.add_task("reading")
        keep = {name for cell in the_plan.cells for name in cell.attributes} | {column} - {""}
        columns = ColumnNames(text=text_column, label=label_column, keep=tuple(sorted(keep)))
        read = partial(read_dataset, task=the_task, columns=columns, format_name=format_name)
        real = read(data, quarantine=quarantine)
        others = read(apart_from) if apart_from else None
        unseen = rows_of_kind(real, hold_out) if hold_out else None
        seen = real if unseen is None else real.take(np.flatnonzero(~unseen))
        wanted = Synthesis(number, gates=_gates(judge, real_vs_synthetic), seed=seed)

        def advance(account: Account, n_orders: int) -> None:
            done = account.spent.events
            cost = f"{account.spent.cost_usd:.4f} USD"
            progress.update(bar, description=f"writing: {done:,} of {n_orders:,} calls, {cost}")

        budget = Budget(usd=budget_usd, tokens=budget_tokens)
        with _writer(by, settings, the_plan, seen, seed, store, budget, advance) as generator:
            if dry_run:
                progress.stop()
                _print_estimate(generator, the_plan, wanted)
                return
            progress.update(bar, description="writing")
            judged, judge_name = _judge(judge, judge_settings, seen, seed)
            passed = synthesize(
                the_plan,
                generator,
                wanted,
                judge=judged,
                judge_name=judge_name,
                also_apart_from=others,
                on_draft=lambda n: progress.update(bar, description=f"writing: {n:,} drafts"),
            )
            account = generator.account if isinstance(generator, Writer) else None
        report: dict[str, Any] = {"writer": generator.annotator.name, **passed.report}
        if prove_it and passed.synthetic_examples:
            proof = prove(
                real,
                passed.synthetic_examples,
                "trees" if the_task.features else "ngram",
                seeds=seeds,
                weight=weight,
                unseen=unseen,
                unseen_name=hold_out or "",
                on_seed=lambda n: progress.update(bar, description=f"proof: {n} of {seeds} seeds"),
            )
            report["proof"] = proof.as_json()
    kept = report.get("proof", {}).get("kept", True)
    write_synthetic_examples(output, passed.synthetic_examples if kept else [], the_task, report)
    if account is not None:
        print_account(account)
    _print_report(report, output)
    if quarantine.count:
        err.print(quarantine.summary())


def show(
    file: Annotated[Path, typer.Argument(help="A file of synthetic examples.")],
    task: Annotated[str, typer.Option("--task", "-t", help="Its task.")],
    number: Annotated[int, typer.Option("--number", "-n", help="How many.", min=1)] = 20,
) -> None:
    """Show synthetic examples, spread over the grid, and the report of a file."""
    synthetic_examples, report = read_synthetic_examples(file, get_task(task))
    step = max(1, len(synthetic_examples) // number)
    for synthetic_example in synthetic_examples[::step][:number]:
        _print_synthetic_example(synthetic_example)
    _print_report(report, file)


def _print_synthetic_example(synthetic_example: SyntheticExample) -> None:
    out.print(safe(synthetic_example.cell, 200), style="bold")
    for line in synthetic_example.text.splitlines()[:12]:
        out.print(f"  {safe(line, 300)}")


def _gates(judge: str, real_vs_synthetic: float) -> GateSettings:
    limit = STUDENT_LIMIT if judge == "student" else 0.5
    return GateSettings(judge=limit, real_vs_synthetic=real_vs_synthetic)


def _judge(name: str, settings: Path | None, real: Dataset, seed: int) -> tuple[Judge | None, str]:
    if name == "none":
        return None, "nobody"
    if name == "student":
        return student_judge(real, seed), "a student of the real labels"
    teacher = get_teacher(name, settings, real.task)
    return teacher_judge(teacher, len(real.task.classes)), teacher.annotator.name


@contextmanager
def _writer(
    by: str,
    settings: Path | None,
    plan: Plan,
    real: Dataset,
    seed: int,
    store: str,
    budget: Budget,
    advance: Any,
) -> Iterator[Generator | Writer]:
    if by not in WRITERS:
        if by not in list_generators():
            raise SettingsError(
                f"unknown generator {by!r}: known are {', '.join([*list_generators(), *WRITERS])}"
            )
        yield get_generator(by, plan, real, seed)
        return
    model = get_writer(by, settings, plan.task)
    model.check_budget(budget)
    with LabelStore(store) as opened:
        yield Writer(model, plan, real, opened, seed=seed, budget=budget, on_progress=advance)


def _print_estimate(generator: Generator | Writer, plan: Plan, wanted: Synthesis) -> None:
    if not isinstance(generator, Writer):
        raise SettingsError("this generator costs nothing: there is nothing to estimate")
    print_estimate(*generator.estimate(orders(plan, wanted.n_drafts)))


def _print_report(report: dict[str, Any], file: Path) -> None:
    if not report:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("gate")
    table.add_column("rejected", justify="right")
    table.add_column("why", overflow="fold")
    for gate, count in report["rejects"].items():
        why = ", ".join(f"{k}: {v:,}" for k, v in report["reasons"].get(gate, {}).items())
        table.add_row(gate, f"{count:,}", safe(why, 200))
    out.print(table)
    classes = ", ".join(f"{name} {count:,}" for name, count in report["classes"].items())
    out.print(
        f"\n{report['synthetic_examples']:,} synthetic examples of {report['drafts']:,} drafts by "
        f"{safe(report['writer'])} ({classes}); {report['cells_covered']:,} of {report['cells']:,} "
        f"cells covered; judged by {safe(report['judge'])}"
    )
    out.print(
        f"distinct word 3-grams {_share(report['distinct_3grams'])}, of as many real events "
        f"{_share(report['distinct_3grams_of_real'])}"
    )
    for label, auroc in report["two_sample_auroc"].items():
        if auroc["value"] is not None:
            out.print(
                f"told from real {safe(label)} events with AUROC {auroc['value']:.3f} "
                f"({auroc['low']:.3f} to {auroc['high']:.3f}); 0.5 would be not at all"
            )
    if "proof" in report:
        out.print(f"proof: {safe(report['proof']['summary'], 500)}")
        if not report["proof"]["kept"]:
            out.print(f"{file}: the report alone; they did not earn their place")
            return
    out.print(f"{file}: stored encoded and marked; `buckler data show` shows them")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
