"""`buckler synthesize` and `buckler data show`: synthetic examples."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import err, out, print_table, safe, show_steps
from buckler.cli.results import print_account, print_estimate
from buckler.dataset import ColumnNames
from buckler.synthesis.filters import FilterSettings
from buckler.synthesis.synthesis_report import SynthesisReport
from buckler.synthesis.synthetic_examples import read_synthetic_examples
from buckler.tasks import get_task
from buckler.teachers.budget import Budget
from buckler.training import synthesize as synthesis
from buckler.training.synthesis_trial import WEIGHT, TrialSettings, parse_kind


def synthesize(
    data: Annotated[
        list[Path],
        typer.Argument(help="Labeled real events: seeds, and the data that examples must fit."),
    ],
    task: opt.TaskName,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Parquet file of synthetic examples to write."),
    ],
    number: Annotated[
        int, typer.Option("--number", "-n", help="Synthetic examples to write at most.", min=1)
    ] = 1000,
    generator: Annotated[
        str | None,
        typer.Option(
            "--generator",
            "-g",
            help="Generator: grammar, mutation, crossover, chat, anthropic or gguf.",
        ),
    ] = None,
    settings: opt.ModelSettings = None,
    template: Annotated[
        Path | None, typer.Option(help="Template file; the task's own by default.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Combinations to write for, as NAME=VALUE,VALUE; may be repeated."),
    ] = None,
    verifier: Annotated[
        str, typer.Option(help="Source that must confirm the class: student, none, or a teacher.")
    ] = "student",
    verifier_settings: Annotated[
        Path | None, typer.Option(help="Settings file of the verifying teacher.")
    ] = None,
    real_vs_synthetic: Annotated[
        float,
        typer.Option(
            help="Highest probability of being synthetic, by a classifier.", min=0.501, max=1
        ),
    ] = 1.0,
    apart_from: Annotated[
        list[Path] | None,
        typer.Option(help="Further real events that no example may repeat, such as a test."),
    ] = None,
    trial: Annotated[
        bool, typer.Option("--trial", help="Train with and without; discard examples without gain.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Number of splits in the trial.", min=2, max=50)] = 5,
    weight: Annotated[
        float,
        typer.Option(help="Weight of an example beside a real event, in the trial.", min=0.001),
    ] = WEIGHT,
    turns: Annotated[
        int,
        typer.Option(
            help="Close the loop: in so many turns at most, write for what the student gets wrong.",
            min=0,
            max=50,
        ),
    ] = 0,
    hold_out: Annotated[
        str | None,
        typer.Option(
            help="COLUMN=VALUE,VALUE: real events of this kind teach neither student nor "
            "generator; the trial measures their detection."
        ),
    ] = None,
    text_column: opt.TextColumn = None,
    label_column: opt.LabelColumn = None,
    format_name: opt.FormatName = None,
    store: opt.PaidStore = "labels.db",
    budget_usd: opt.BudgetUsd = None,
    budget_tokens: opt.BudgetTokens = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate calls, tokens and cost; write nothing.")
    ] = False,
    seed: opt.Seed = 0,
) -> None:
    """Write synthetic examples, filter them, and measure whether they help."""
    chosen = synthesis.SynthesisSettings(
        number=number,
        generator=generator,
        generator_settings=settings,
        template=template,
        only=dict(parse_kind(text) for text in only or ()),
        verifier=verifier,
        verifier_settings=verifier_settings,
        filters=FilterSettings(real_vs_synthetic=real_vs_synthetic),
        trial=TrialSettings(seeds, weight) if trial or turns else None,
        hold_out=hold_out,
        apart_from=apart_from or (),
        turns=turns,
        store=store,
        budget=Budget(usd=budget_usd, tokens=budget_tokens),
        columns=ColumnNames(text=text_column, label=label_column),
        format=format_name,
        seed=seed,
    )
    if dry_run:
        print_estimate(*synthesis.estimate_synthesis(data, task, chosen))
        return
    with show_steps("reading") as on_step:
        result = synthesis.synthesize(data, task, output, chosen, on_progress=on_step)
    if result.account is not None:
        print_account(result.account)
    _print_report(result.report, output)
    if result.quarantine:
        err.print(result.quarantine)


def show(
    file: Annotated[Path, typer.Argument(help="File of synthetic examples.")],
    task: opt.TaskName,
    number: Annotated[int, typer.Option("--number", "-n", help="Examples to show.", min=1)] = 20,
) -> None:
    """Show synthetic examples, spread over the combinations, and the report of a file."""
    examples, report = read_synthetic_examples(file, get_task(task))
    step = max(1, len(examples) // number)
    for example in examples[::step][:number]:
        out.print(safe(example.combination, 200), style="bold")
        for line in example.text.splitlines()[:12]:
            out.print(f"  {safe(line, 300)}")
    _print_report(report, file)


def _print_report(report: SynthesisReport, file: Path) -> None:
    rows = []
    for name, count in report.rejects.items():
        reasons = ", ".join(f"{k}: {v:,}" for k, v in report.reasons.get(name, {}).items())
        rows.append((safe(name), f"{count:,}", safe(reasons, 200)))
    print_table(("filter", "rejected", "reasons"), rows, right=("rejected",))
    classes = ", ".join(f"{safe(name)} {count:,}" for name, count in report.classes.items())
    out.print(
        f"\n{report.synthetic_examples:,} synthetic examples of {report.drafts:,} drafts by "
        f"{safe(report.generator)} ({classes}); {report.combinations_covered:,} of "
        f"{report.combinations:,} combinations covered; verifier: {safe(report.verifier)}"
    )
    out.print(
        f"distinct word 3-grams {_share(report.distinct_3grams)}, of as many real events "
        f"{_share(report.distinct_3grams_of_real)}"
    )
    for label, auroc in report.real_vs_synthetic_auroc.items():
        if auroc.value is not None:
            out.print(
                f"real-vs-synthetic AUROC of {safe(label)} {auroc.value:.3f} "
                f"({_share(auroc.low, 3)} to {_share(auroc.high, 3)}); 0.5 is indistinguishable"
            )
    for number, turn in enumerate(report.turns, 1):
        out.print(
            f"turn {number}: {turn.errors:,} of {turn.held_out:,} held-out events wrong, "
            f"{turn.synthetic_examples:,} examples of {turn.drafts:,} drafts, "
            f"{turn.cost_usd:.4f} USD; {safe(turn.summary, 500)}"
        )
    if report.turns:
        if not any(turn.kept for turn in report.turns):
            out.print(f"{file}: the report alone, since no turn brought a gain")
            return
    elif report.trial is not None:
        out.print(f"trial: {safe(report.trial.summary, 500)}")
        if not report.trial.kept:
            out.print(f"{file}: the report alone, since the synthetic examples do not help")
            return
    out.print(f"{file}: stored encoded and marked; `buckler data show` shows them")


def _share(value: float | None, places: int = 2) -> str:
    return "-" if value is None else f"{value:.{places}f}"
