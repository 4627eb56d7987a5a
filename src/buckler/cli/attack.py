"""`buckler attack`: what a bundle still detects when events are disguised."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import print_table, show_steps
from buckler.cli.results import print_account, print_estimate, print_report, print_rows
from buckler.dataset import ColumnNames
from buckler.errors import SettingsError
from buckler.evaluation.robustness import robustness_table
from buckler.teachers.budget import Budget
from buckler.training import attack as attacking
from buckler.training.augmentation import MAX_ATTACKED


def attack(
    bundle: Annotated[Path, typer.Argument(help="A .buckler file.")],
    data: Annotated[
        list[Path] | None, typer.Argument(help="Labeled test files or folders.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for attack.html and attack.json.")
    ] = None,
    names: Annotated[
        list[str] | None, typer.Option("--attack", "-a", help="Attacks to make; all by default.")
    ] = None,
    beside: Annotated[
        list[Path] | None, typer.Option(help="Further bundles, attacked in the same way.")
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="List the attacks, and stop.")] = False,
    task: opt.TaskFile = None,
    label_column: opt.LabelColumn = None,
    text_column: opt.TextColumn = None,
    format_name: opt.FormatName = None,
    paraphrase: Annotated[
        str | None,
        typer.Option(help="Language model that paraphrases mails: chat, anthropic or gguf."),
    ] = None,
    settings: opt.ModelSettings = None,
    store: opt.PaidStore = "labels.db",
    budget_usd: opt.BudgetUsd = None,
    budget_tokens: opt.BudgetTokens = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate the cost of paraphrases; do nothing.")
    ] = False,
    max_events: Annotated[
        int, typer.Option(help="Events to attack at most.", min=1)
    ] = MAX_ATTACKED,
    seed: opt.Seed = 0,
) -> None:
    """Disguise positive events as attackers would, and measure the recall."""
    if list_only:
        found = attacking.list_attacks(bundle, task)
        print_table(("attack", "description"), ((one.name, one.description) for one in found))
        return
    if not data or output is None:
        raise SettingsError("name labeled test data, and a folder with --output")
    chosen = attacking.AttackSettings(
        names=names or ("all",),
        beside=beside or (),
        task=task,
        paraphrase=paraphrase,
        paraphrase_settings=settings,
        store=store,
        budget=Budget(usd=budget_usd, tokens=budget_tokens),
        columns=ColumnNames(label=label_column, text=text_column),
        format=format_name,
        max_events=max_events,
        seed=seed,
    )
    if dry_run:
        print_estimate(*attacking.estimate_attack(bundle, data, chosen))
        return
    with show_steps("reading") as on_step:
        report = attacking.attack(bundle, data, output, chosen, on_progress=on_step)
    if report.account is not None:
        print_account(report.account)
    print_rows(robustness_table(report.models))
    if report.files is not None:
        print_report(report.files)
