"""`buckler attack`: what a bundle still catches when events are disguised."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from buckler.attacks import attacks_on, get_attacks
from buckler.cli.console import out, step_progress
from buckler.cli.options import BudgetTokens, BudgetUsd, ModelSettings, PaidStore
from buckler.cli.results import print_account, print_estimate, print_robustness
from buckler.dataset import ColumnNames, read_dataset
from buckler.errors import MissingExtraError, SettingsError
from buckler.evaluation.robustness import robustness_html, robustness_json
from buckler.files import write_atomically
from buckler.labels import LabelStore
from buckler.readers.quarantine import Quarantine
from buckler.runtime import load
from buckler.synthesis.paraphrase import NAME, Paraphraser
from buckler.synthesis.text_orders import get_writing_model
from buckler.tasks import get_bundle_task
from buckler.teachers.budget import Account, Budget
from buckler.training.augmentation import MAX_ATTACKED, attack_scorers, attacked_texts


def attack(
    bundle: Annotated[Path, typer.Argument(help="A .buckler file.")],
    data: Annotated[
        list[Path] | None, typer.Argument(help="Labeled test files or folders.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for attack.html and attack.json.")
    ] = None,
    names: Annotated[
        list[str] | None, typer.Option("--attack", "-a", help="Only these (default: all).")
    ] = None,
    beside: Annotated[
        list[Path] | None, typer.Option(help="Further bundles, attacked in the same way.")
    ] = None,
    list_only: Annotated[bool, typer.Option("--list", help="Say what there is, and stop.")] = False,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="The task's .toml file, if it is your own.")
    ] = None,
    label_column: Annotated[str | None, typer.Option(help="Name of the label column.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Name of the text column.")] = None,
    format_name: Annotated[
        str | None, typer.Option("--format", help="Read as this format, whatever the suffix.")
    ] = None,
    paraphrase: Annotated[
        str | None,
        typer.Option(help="Have mails said in other words by: chat, anthropic, gguf."),
    ] = None,
    settings: ModelSettings = None,
    store: PaidStore = "labels.db",
    budget_usd: BudgetUsd = None,
    budget_tokens: BudgetTokens = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate what paraphrases cost; do nothing.")
    ] = False,
    max_events: Annotated[
        int, typer.Option(help="Attack at most so many events.", min=1)
    ] = MAX_ATTACKED,
    seed: Annotated[int, typer.Option(help="Of everything random.", min=0)] = 0,
) -> None:
    """Disguise positive events as attackers would, and measure the recall."""
    scorer = load(bundle)
    the_task = get_bundle_task(task or scorer.manifest.task, scorer.manifest.classes)
    attacks = get_attacks(names or ["all"], the_task.medium)
    if list_only:
        table = Table(box=None, pad_edge=False)
        for heading in ("attack", "what it does"):
            table.add_column(heading)
        for found in attacks_on(the_task.medium):
            table.add_row(found.name, found.description)
        out.print(table)
        return
    if not data or output is None:
        raise SettingsError("name labeled test data, and a folder with --output")
    account: Account | None = None
    with step_progress() as progress, Quarantine() as quarantine:
        bar = progress.add_task("reading")
        events = read_dataset(
            data,
            the_task,
            ColumnNames(label=label_column, text=text_column),
            format_name=format_name,
            quarantine=quarantine,
        )
        if paraphrase is not None:
            texts = attacked_texts(events, seed=seed, max_events=max_events)
            model = get_writing_model(paraphrase, settings, the_task)
            budget = Budget(usd=budget_usd, tokens=budget_tokens)
            model.check_budget(budget)

            def tell(account: Account) -> None:
                done = f"{account.spent.events:,} calls, {account.spent.cost_usd:.4f} USD"
                progress.update(bar, description=f"{NAME}: {done}")

            with LabelStore(store) as opened:
                rephrase = Paraphraser(model, the_task, opened, budget=budget, on_progress=tell)
                if dry_run:
                    progress.stop()
                    print_estimate(*rephrase.estimate(texts))
                    return
                attacks = [*attacks, rephrase.attack(texts)]
            account = rephrase.account
        scorers = {bundle.stem: scorer}
        for path in beside or ():
            scorers[path.stem if path.stem not in scorers else str(path)] = load(path)
        models = attack_scorers(
            scorers,
            events,
            attacks,
            seed=seed,
            max_events=max_events,
            on_attack=lambda name: progress.update(bar, description=name),
        )
    if account is not None:
        print_account(account)
    write_atomically(output / "attack.json", robustness_json(models))
    print_robustness(models)
    lead = f"{the_task.description}. {', '.join(p.name for p in data)}; seed {seed}."
    try:
        page = robustness_html(f"Attacks on {bundle.stem}", lead, models)
        write_atomically(output / "attack.html", page.encode())
        out.print(f"report  {output / 'attack.html'}")
    except MissingExtraError as error:
        out.print(f"report  no HTML: {error}")
    out.print(f"        {output / 'attack.json'}")
