"""`buckler learn`: labels of analysts train a candidate; the better bundle is deployed."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import out, safe
from buckler.cli.registry import print_decision
from buckler.cli.results import print_run
from buckler.cli.run import run_progress
from buckler.errors import SettingsError
from buckler.pipeline.recipe import AnalystLabelsSection, read_recipe
from buckler.serving.bundle_registry import BundleRegistry


def learn(
    recipe: Annotated[Path, typer.Argument(help="Recipe file.")] = Path("buckler.toml"),
    from_review: Annotated[
        bool,
        typer.Option("--from-review", help="Learn from the analysts' labels in the label store."),
    ] = False,
    store: Annotated[
        str | None,
        typer.Option(
            "--store",
            "-s",
            help="Label store: a file, or a PostgreSQL URL.",
            envvar="BUCKLER_LABELS",
        ),
    ] = None,
    root: Annotated[
        str, typer.Option("--registry", "-r", help="Registry: a folder, or s3://bucket/registry.")
    ] = "registry",
    name: Annotated[
        str | None, typer.Option("--name", help="Name in the registry; by default the recipe's.")
    ] = None,
    hold_out: Annotated[
        float, typer.Option(help="Share of the labeled groups that only measures.", min=0, max=0.9)
    ] = 0.3,
    weight: Annotated[
        float,
        typer.Option(
            help="Weight of an analyst's label beside that of a training row.", min=0.01, max=100
        ),
    ] = 1.0,
    trusted_key: opt.TrustedKey = None,
) -> None:
    """Train again and promote the bundle if it is better; exit with code 1 if not."""
    from buckler.review import retrain

    if not from_review:
        raise SettingsError("say what to learn from: --from-review")
    read = read_recipe(recipe)
    where = store or (read.labels.store if read.labels is not None else "labels.db")
    labels = AnalystLabelsSection(store=where, hold_out=hold_out, weight=weight)
    registry = BundleRegistry(root, name or read.name or read.task)
    with run_progress() as listener:
        found = retrain.learn(read, registry, labels, listener=listener, trusted_key=trusted_key)
    print_run(found.run)
    out.print()
    if found.decision is not None:
        print_decision(found.decision)
    out.print(f"{found.entry.action}: {safe(found.entry.reason, 300)}")
    if found.entry.action == "refuse":
        raise typer.Exit(1)
    out.print(f"deployed: {registry.live}")
