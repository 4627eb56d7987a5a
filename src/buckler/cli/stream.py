"""`buckler stream`: events as they come, from a pipe, a folder or Kafka."""

import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from buckler.cli import options as opt
from buckler.cli.console import err, safe
from buckler.errors import MissingExtraError, ScanInterruptedError, SettingsError
from buckler.operating_point import OperatingPoint
from buckler.serving.bundles import LoadedBundle, load_bundle
from buckler.serving.challengers import summarize_counts
from buckler.serving.json_logging import log_as_json
from buckler.serving.scan import ScanOptions
from buckler.serving.stream.folder import watch_folder
from buckler.serving.verdict_batch import OutputOptions
from buckler.signals import stop_on_signals

if TYPE_CHECKING:
    from buckler.serving.stream.pipe import LineOptions


@opt.with_operating_point
def stream(
    source: Annotated[
        str, typer.Argument(help="Source: - for standard input, a folder to watch, or `kafka`.")
    ],
    bundle: opt.BundleOption,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the verdicts of a watched folder, or for hourly files of a pipe.",
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", help="Settings file of Kafka (TOML); see docs/stream.md."),
    ] = None,
    trusted_key: opt.TrustedKey = None,
    column: opt.TextColumns = None,
    convention: Annotated[
        str,
        typer.Option(
            "--as",
            help="Verdict format: verdict, plain, ocsf, ecs, alert, or bulk (Elasticsearch).",
        ),
    ] = "plain",
    index: opt.Index = "buckler",
    text: Annotated[bool, typer.Option("--text", help="Put the event into the answer.")] = False,
    keep: opt.Keep = None,
    keep_all: opt.KeepAll = False,
    explain: opt.Explain = 0,
    only_detections: opt.OnlyDetections = False,
    pass_over: Annotated[
        bool, typer.Option("--pass-over", help="Give no answer to lines without the text.")
    ] = False,
    operating_point: OperatingPoint | None = None,
    wait: Annotated[
        float, typer.Option(help="Longest wait of a line, in seconds.", min=0.001)
    ] = 0.2,
    batch: Annotated[
        int, typer.Option(help="Largest number of lines scored at once.", min=1)
    ] = 2000,
    challenger: opt.Challengers = None,
    fail_on_detection: Annotated[
        bool, typer.Option("--fail-on-detection", help="Exit with code 1 if there was a detection.")
    ] = False,
) -> None:
    """Score events as they arrive."""
    with stop_on_signals() as stop:
        if source == "kafka":
            _score_topic(bundle, trusted_key, settings, stop)
        elif source == "-":
            bulk = convention == "bulk"
            format_name = "ecs" if bulk else None if convention == "verdict" else convention
            try:
                from buckler.serving.stream.pipe import LineOptions
            except ImportError as error:
                raise MissingExtraError("scoring a stream", "stream") from error
            options = LineOptions(
                OutputOptions(
                    with_text=text,
                    format_name=format_name,
                    explain=explain,
                    keep=opt.split_names(keep),
                    keep_all=keep_all,
                ),
                batch_events=batch,
                batch_s=wait,
                only_detections=only_detections,
                pass_over=pass_over,
                index=index if bulk else "",
                challengers=tuple(challenger or ()),
            )
            loaded = load_bundle(bundle, column or (), trusted_key, operating_point)
            if _score_lines(loaded, output, options, stop) and fail_on_detection:
                raise typer.Exit(1)
        else:
            if output is None or not Path(source).is_dir():
                raise SettingsError("name a folder to watch, and one for verdicts", field="output")
            log_as_json()
            scan_options = ScanOptions(
                text_columns=tuple(column or ()),
                operating_point=operating_point,
                keep=opt.split_names(keep),
                keep_all=keep_all,
                explain=explain,
                only_detections=only_detections,
                challengers=tuple(challenger or ()),
                trusted_key=trusted_key,
            )
            with suppress(ScanInterruptedError):
                watch_folder(bundle, Path(source), output, stop, scan_options)


def _score_lines(
    bundle: LoadedBundle, output: Path | None, options: "LineOptions", stop: threading.Event
) -> int:
    """Score standard input; return the number of detections."""
    from buckler.serving.stream.pipe import score_lines

    target = sys.stdout.buffer if output is None else output
    counts = score_lines(bundle, sys.stdin.buffer, target, options, stop)
    err.print(
        f"{counts.lines:,} lines, {counts.detections:,} detections, {counts.errors:,} that "
        f"could not be scored, {counts.passed_over:,} passed over"
    )
    for name, pairs in counts.challengers.items():
        err.print(safe(summarize_counts(name, pairs), 300))
    return counts.detections


def _score_topic(
    bundle: Path, trusted_key: Path | None, settings: Path | None, stop: threading.Event
) -> None:
    try:
        from buckler.serving.layered_settings import read_layered_settings
        from buckler.serving.stream.kafka import score_topic
        from buckler.serving.stream.kafka_settings import KafkaSettings
    except ImportError as error:
        raise MissingExtraError("Kafka", "kafka") from error
    score_topic(bundle, read_layered_settings(KafkaSettings, settings), trusted_key, stop)
