"""`buckler registry`: which bundle is deployed, and whether a new one is better."""

from pathlib import Path
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import err, out, print_table, safe, show_steps
from buckler.dataset import ColumnNames
from buckler.serving.bundle_registry import BundleRegistry
from buckler.serving.deployment import deploy_candidate
from buckler.training.promotion import Decision

app = typer.Typer(help="Manage deployed bundles: promote, roll back, fetch.", no_args_is_help=True)
Root = Annotated[
    str,
    typer.Option(
        "--registry", "-r", help="Registry: a folder, or a URL such as s3://bucket/registry."
    ),
]
Name = Annotated[str, typer.Argument(help="Name under which the bundle is deployed.")]


@app.command("promote")
def promote(
    name: Name,
    candidate: Annotated[Path, typer.Argument(help="Bundle file.")],
    tests: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Labeled events that neither bundle learned from, such as frozen tests."
        ),
    ] = None,
    root: Root = "registry",
    trusted_key: opt.TrustedKey = None,
    label_column: opt.LabelColumn = None,
    text_column: opt.TextColumn = None,
    force: Annotated[
        str | None, typer.Option("--force", help="Promote without a comparison, for this reason.")
    ] = None,
) -> None:
    """Deploy a bundle if it is better than the deployed one; exit with code 1 if it is not."""
    registry = BundleRegistry(root, name)
    with show_steps("comparing"):
        outcome = deploy_candidate(
            registry,
            candidate,
            tests or (),
            columns=ColumnNames(text=text_column, label=label_column),
            trusted_key=trusted_key,
            force_reason=force,
        )
    if outcome.quarantine_summary:
        err.print(outcome.quarantine_summary)
    if outcome.decision is not None:
        print_decision(outcome.decision)
    entry = outcome.entry
    out.print(f"{entry.action}: {safe(entry.reason, 300)}")
    if not entry.deploys:
        raise typer.Exit(1)
    out.print(f"deployed: {registry.live}")


@app.command("roll-back")
def roll_back(
    name: Name,
    reason: Annotated[str, typer.Option(help="Reason for the history.")],
    root: Root = "registry",
) -> None:
    """Deploy the bundle that was deployed before."""
    entry = BundleRegistry(root, name).roll_back(reason)
    out.print(f"deployed again: {entry.sha256}")


@app.command("history")
def history(name: Name, root: Root = "registry") -> None:
    """List what was promoted, refused and rolled back."""
    entries = BundleRegistry(root, name).history()
    rows = [(e.time, e.action, e.sha256[:12], safe(e.by, 40), safe(e.reason, 300)) for e in entries]
    print_table(("time", "action", "bundle", "by", "reason"), rows)


@app.command("fetch")
def fetch(
    name: Name,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    root: Root = "registry",
    trusted_key: opt.TrustedKey = None,
) -> None:
    """Copy the deployed bundle to a file, verified; a server that watches it reloads."""
    digest = BundleRegistry(root, name).fetch(output, trusted_key)
    out.print(f"{digest}: {output}")


def print_decision(found: Decision) -> None:
    """Print the comparison of a candidate with the deployed bundle."""
    rows = []
    for pair in found.compared:
        gain, rates = pair.gain, pair.false_positives
        row = (
            safe(pair.name, 60),
            pair.measure,
            f"{pair.champion:.4f}",
            f"{pair.candidate:.4f}",
            f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})",
            "-" if rates is None else f"{rates.champion:.4f} -> {rates.candidate.value:.4f}",
        )
        rows.append(row)
    head = ("events", "measure", "deployed", "candidate", "gain (95 %)", "false positives")
    print_table(head, rows)
