"""`buckler stream`: events as they come, from a pipe, a folder or Kafka."""

import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from buckler.cli.console import err, safe
from buckler.cli.options import TrustedKey
from buckler.errors import MissingExtraError, ScanInterruptedError, SettingsError
from buckler.runtime import Scorer, load
from buckler.serving.fields import fields_of
from buckler.serving.json_logging import log_as_json
from buckler.serving.scan import ScanSettings
from buckler.serving.served import Served
from buckler.serving.verdicts import VerdictForm


def stream(
    source: Annotated[
        str, typer.Argument(help="- for standard input, a folder to watch, or `kafka`.")
    ],
    bundle: Annotated[Path, typer.Option("--bundle", "-b", help="A .buckler file.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A folder: a watched one's verdicts, or a pipe's by the hour.",
        ),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="Of Kafka: a .toml file; see docs/stream.md.")
    ] = None,
    trusted_key: TrustedKey = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", "-c", help="Name of the text, such as http.url; may be repeated."),
    ] = None,
    convention: Annotated[
        str, typer.Option("--as", help="verdict, plain, ocsf, ecs, alert, or bulk (Elasticsearch).")
    ] = "plain",
    index: Annotated[str, typer.Option(help="Of --as bulk: the index.")] = "buckler",
    text: Annotated[bool, typer.Option("--text", help="Put the event into the answer.")] = False,
    only_detections: Annotated[
        bool, typer.Option("--only-detections", help="Answer detections alone.")
    ] = False,
    pass_over: Annotated[
        bool, typer.Option("--pass-over", help="No answer for lines without the text.")
    ] = False,
    fpr: Annotated[
        float | None, typer.Option(help="Detection at the threshold for this false-positive rate.")
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds that a line may wait.", min=0.001)] = 0.2,
    batch: Annotated[int, typer.Option(help="Lines at once, at most.", min=1)] = 2000,
    challenger: Annotated[
        list[Path] | None,
        typer.Option("--challenger", help="A bundle to compare on the way; may be repeated."),
    ] = None,
    fail_on_detection: Annotated[
        bool, typer.Option("--fail-on-detection", help="Exit with code 1 if there was a detection.")
    ] = False,
) -> None:
    """Judge events as they come; every event gets an answer, until it is told to stop."""
    stop = stopping()
    if source == "kafka":
        _kafka(bundle, trusted_key, settings, stop)
        return
    scorer = load(bundle, trusted_key=trusted_key)
    scorer.threshold(fpr)
    if source != "-":
        if output is None or not Path(source).is_dir():
            raise SettingsError("name a folder to watch and, with --output, one for verdicts")
        _folder(scorer, Path(source), output, column or [], fpr, tuple(challenger or ()), stop)
        return
    try:
        from buckler.serving.challengers import Challengers
        from buckler.serving.records import Wish
        from buckler.serving.stream.partitions import Partitions
        from buckler.serving.stream.pipe import (
            PipeSettings,
            partition_schema,
            run_into_partitions,
            run_pipe,
        )
    except ImportError as error:
        raise MissingExtraError("judging a stream", "stream") from error
    bulk = convention == "bulk"
    chosen = PipeSettings(
        fields_of(scorer, column or ()),
        Wish(VerdictForm(fpr, text), "ecs" if bulk else convention),
        batch,
        wait,
        only_detections,
        pass_over,
        index if bulk else "",
        Challengers(challenger or (), scorer, trusted_key),
    )
    if convention not in ("verdict", "bulk"):
        from buckler.serving.formats import VERDICT_FORMATS

        VERDICT_FORMATS.get(convention)  # an unknown one fails before any line is read
    try:
        if output is not None:
            parts = Partitions(output, partition_schema(scorer, chosen.wish.form))
            counts = run_into_partitions(scorer, chosen, sys.stdin.buffer, parts, stop)
        else:
            counts = run_pipe(scorer, chosen, sys.stdin.buffer, sys.stdout.buffer, stop)
    except BrokenPipeError:
        sys.stdout = None  # nobody reads; the interpreter need not flush
        raise typer.Exit(0) from None
    err.print(
        f"{counts.lines:,} lines, {counts.detections:,} detections, {counts.errors:,} that could not be "
        f"judged, {counts.passed_over:,} passed over"
    )
    for line in chosen.challengers.told() if chosen.challengers is not None else ():
        err.print(safe(line, 300))
    if fail_on_detection and counts.detections:
        raise typer.Exit(1)


def stopping() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set; a second one stops at once."""
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return stop


def _folder(
    scorer: Scorer,
    folder: Path,
    output: Path,
    columns: list[str],
    fpr: float | None,
    challengers: tuple[Path, ...],
    stop: threading.Event,
) -> None:
    from buckler.serving.stream.folder import watch_folder

    log_as_json()
    settings = ScanSettings(
        fields_of(scorer, columns),
        target_fpr=fpr,
        with_text=not scorer.parses_texts,
        challengers=challengers,
    )
    try:
        watch_folder(scorer, folder, output, settings, stop)
    except ScanInterruptedError:
        return


def _kafka(
    bundle: Path, trusted_key: Path | None, settings: Path | None, stop: threading.Event
) -> None:
    try:
        from buckler.serving.stream.kafka import KafkaWorker
        from buckler.serving.stream.kafka_metrics import exporter
        from buckler.serving.stream.kafka_settings import read_kafka_settings
    except ImportError as error:
        raise MissingExtraError("Kafka", "kafka") from error
    log_as_json()
    chosen = read_kafka_settings(settings)
    served = Served.load(bundle, chosen.columns, trusted_key, chosen.target_fpr)
    KafkaWorker(served, chosen, exporter(chosen.metrics_port, served.name), stop).run()
