"""`buckler bundle`: look into a bundle, and verify it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from buckler.bundle.reader import read_bundle
from buckler.cli.console import out, safe
from buckler.runtime import load

app = typer.Typer(help="Look into a bundle, and verify it.", no_args_is_help=True)

BundlePath = Annotated[Path, typer.Argument(help="A .buckler file.")]


@app.command("show")
def show(
    path: BundlePath,
    card: Annotated[bool, typer.Option("--card", help="Print the model card.")] = False,
    manifest: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Show what a bundle says of itself."""
    bundle = read_bundle(path)
    if card:
        text = bundle.entries["card.md"].decode("utf-8", "replace")
        out.print("\n".join(safe(line, 2000) for line in text.splitlines()))
        return
    if manifest:
        out.print(bundle.manifest.to_json().decode())
        return
    m = bundle.manifest
    table = Table(show_header=False, box=None, pad_edge=False)
    rows = {
        "name": m.name,
        "task": f"{m.task}: {m.description}",
        "classes": ", ".join(m.classes),
        "alarm for": ", ".join(m.bad) or "-",
        "student": f"{m.family} {m.settings}",
        "canonical form": f"{m.normaliser}, at most {m.max_bytes:,} bytes",
        "thresholds": ", ".join(
            f"{v:.6f} at FPR {f:g}{' (deployed)' if f == m.deployed_fpr else ''}"
            for f, v in m.thresholds.items()
        )
        or "none",
        "figures": ", ".join(f"{k} {v}" for k, v in m.metrics.items()) or "not evaluated",
        "made": m.created,
        "size": f"{path.stat().st_size:,} bytes",
        "digest": bundle.sha256,
    }
    for name, value in rows.items():
        table.add_row(name, safe(value, 1000))
    out.print(table)


@app.command("verify")
def verify(path: BundlePath) -> None:
    """Check sizes, digests and conformance vectors, and say what was checked."""
    scorer = load(path)
    out.print(f"{path}: sound")
    for line in (
        "only known files in it, stored, of the stated sizes",
        "SHA-256 of every file as the manifest states",
        "weights and settings fit each other and the task",
        "conformance vectors give the same scores here, to the bit",
    ):
        out.print(f"  checked: {line}")
    out.print("  not checked: who made it (bundles are not signed yet)")
    out.print(f"  digest: {scorer.sha256}")
