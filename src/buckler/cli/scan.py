"""`buckler scan`: score files of any size."""

import heapq
import json
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import byte_progress, out, safe
from buckler.cli.terminal import align_columns
from buckler.errors import SettingsError
from buckler.operating_point import OperatingPoint
from buckler.serving.challengers import summarize_counts
from buckler.serving.scan import ScanOptions, ScanProgress
from buckler.serving.scan import scan as scan_files

_ROWS_OF_A_RATE = 100_000  # in less, the start hides the rate
_SHOWN = 10  # verdicts on the terminal


@opt.with_operating_point
def scan(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders to score.")],
    bundle: opt.BundleOption,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Output file: .parquet, .jsonl or .csv; without it, the highest scores are shown.",
        ),
    ] = None,
    trusted_key: opt.TrustedKey = None,
    column: opt.TextColumns = None,
    format_name: opt.FormatName = None,
    operating_point: OperatingPoint | None = None,
    text: Annotated[
        bool | None,
        typer.Option("--text/--no-text", help="Write the text too (default: not for mail)."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write a column for each class.")
    ] = False,
    keep: opt.Keep = None,
    keep_all: opt.KeepAll = False,
    explain: opt.Explain = 0,
    convention: Annotated[
        str | None,
        typer.Option(
            "--as", help="Write records for a SIEM: ecs, ocsf, alert, plain, or bulk (to .jsonl)."
        ),
    ] = None,
    index: opt.Index = "buckler",
    only_detections: opt.OnlyDetections = False,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Number of threads for scoring; by default one for each core.",
            min=1,
            max=256,
            show_default=False,
        ),
    ] = None,
    challenger: opt.Challengers = None,
    overwrite: opt.Overwrite = False,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Delete the state of an interrupted scan, and start again."),
    ] = False,
) -> None:
    """Score files of any size; exit with code 1 if every row was set aside."""
    options = ScanOptions(
        text_columns=tuple(column or ()),
        format_name=format_name,
        operating_point=operating_point,
        with_text=text,
        with_probabilities=probabilities,
        keep=opt.split_names(keep),
        keep_all=keep_all,
        explain=explain,
        verdict_format="ecs" if convention == "bulk" else convention,
        index=index if convention == "bulk" else "",
        only_detections=only_detections,
        threads=threads,
        challengers=tuple(challenger or ()),
        trusted_key=trusted_key,
        overwrite=overwrite,
        restart=restart,
    )
    if output is None and (convention is not None or challenger):
        raise SettingsError("this output needs a file: name one", field="output")
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory()) if output is None else ""
        target = output or Path(folder) / "verdicts.jsonl"
        progress, bar = stack.enter_context(byte_progress("scanning"))

        def show(done: ScanProgress) -> None:
            progress.update(
                bar,
                total=done.total_bytes,
                completed=done.size_bytes,
                rows=done.rows,
                rate=done.rows / max(done.seconds, 1e-9),
            )

        result = scan_files(bundle, paths, target, options, show)
        progress.stop()
        if output is None:
            _print_highest(target)
    done = result.rows - result.resumed_at_row
    rate = f", {done / max(result.seconds, 1e-9):,.0f} rows/s" if done >= _ROWS_OF_A_RATE else ""
    resumed = f" (resumed behind row {result.resumed_at_row:,})" if result.resumed_at_row else ""
    out.print(f"{result.rows:,} rows scored, {result.detections:,} detections{rate}{resumed}")
    if output is not None:
        out.print(f"  {result.output}")
    for name, counts in result.challengers.items():
        out.print(f"  {safe(summarize_counts(name, counts), 300)}")
    if result.quarantined or result.passed_over:
        written = output is not None and result.quarantined
        where = f": {result.quarantine_file}" if written else ""
        out.print(f"  {result.quarantine_summary}{where}")
    if result.quarantined and not result.rows:  # an empty output is no answer
        raise typer.Exit(1)
    if output is None:
        out.print("  all verdicts: -o verdicts.parquet; why: --explain 5")
    elif result.detections and convention is None and not explain:
        out.print("  why: --explain 5; records for a SIEM: --as ecs, -o detections.jsonl")


def _print_highest(path: Path) -> None:
    """Print the verdicts with the highest scores, and why where that was asked."""
    with path.open(encoding="utf-8") as file:
        verdicts = heapq.nlargest(_SHOWN, map(json.loads, file), key=lambda each: each["score"])
    rows = []
    for verdict in verdicts:
        detected = "cannot tell" if verdict["uncertain"] else ""
        event = verdict.get("text") or f"{verdict['path']}:{verdict['row']}"
        rows.append(
            (
                f"{verdict['score']:.4f}",
                verdict["label"],
                "DETECTION" if verdict["detected"] else detected,
                safe(event, 120),
            )
        )
    for line, verdict in zip(align_columns(rows), verdicts, strict=True):
        out.print(line)
        if because := verdict.get("because"):
            out.print(f"    {safe(because, 300)}")
