"""`buckler scan`: score files of any size."""

import time
from pathlib import Path
from typing import Annotated

import typer

from buckler.cli.console import byte_progress, out, safe
from buckler.cli.options import TrustedKey
from buckler.readers.reader import find_inputs
from buckler.runtime import load
from buckler.serving.challengers import told_counts
from buckler.serving.fields import fields_of
from buckler.serving.scan import ScanSettings
from buckler.serving.scan import scan as scan_files


def scan(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders to score.")],
    bundle: Annotated[Path, typer.Option("--bundle", "-b", help="A .buckler file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to: .parquet, .jsonl or .csv.")
    ],
    trusted_key: TrustedKey = None,
    column: Annotated[
        list[str] | None, typer.Option("--column", "-c", help="Name of the text column.")
    ] = None,
    format_name: Annotated[
        str | None,
        typer.Option("--format", help="Read as parquet, csv, jsonl, lines, eml or mbox."),
    ] = None,
    fpr: Annotated[
        float | None, typer.Option(help="Detection at the threshold for this false-positive rate.")
    ] = None,
    text: Annotated[
        bool | None,
        typer.Option("--text/--no-text", help="Write the text too (default: not for mail)."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write a column for each class.")
    ] = False,
    threads: Annotated[int, typer.Option(help="Threads for scoring.", min=1, max=256)] = 1,
    challenger: Annotated[
        list[Path] | None,
        typer.Option("--challenger", help="A bundle to compare on the way; may be repeated."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--force", help="Replace an existing output.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Throw away what an interrupted scan left.")
    ] = False,
) -> None:
    """Score files of any size; Ctrl-C stops it, the same command goes on."""
    scorer = load(bundle, trusted_key=trusted_key)
    settings = ScanSettings(
        fields_of(scorer, column or ()),
        format_name,
        fpr,
        not scorer.parses_texts if text is None else text,
        probabilities,
        threads,
        tuple(challenger or ()),
    )
    total = sum(path.stat().st_size for path in find_inputs(paths, format_name))
    with byte_progress("scanning", total) as (progress, bar):
        started, rows = time.monotonic(), 0

        def advance(size_bytes: int, n_rows: int) -> None:
            nonlocal rows
            rows += n_rows
            rate = rows / max(1e-9, time.monotonic() - started)
            progress.update(bar, advance=size_bytes, rows=rows, rate=rate)

        result = scan_files(
            scorer,
            paths,
            output,
            settings,
            overwrite=overwrite,
            restart=restart,
            trusted_key=trusted_key,
            on_progress=advance,
        )
    done = result.rows - result.resumed_at_row
    out.print(
        f"{result.rows:,} rows scored, {result.detections:,} detections, "
        f"{done / max(result.seconds, 1e-9):,.0f} rows/s"
        + (f" (went on behind row {result.resumed_at_row:,})" if result.resumed_at_row else "")
    )
    out.print(f"  {result.output}")
    for name, counts in result.shadow.items():
        out.print(f"  {safe(told_counts(name, counts), 300)}")
    if result.quarantined:
        out.print(f"  {result.quarantine_summary}: {result.quarantine_file}")
    elif result.passed_over:
        out.print(f"  {result.quarantine_summary}")
