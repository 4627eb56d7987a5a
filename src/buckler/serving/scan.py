"""Scan: scores files of any size in bounded memory; stops at any moment and resumes there."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from buckler.errors import OutputError, ScanInterruptedError
from buckler.extras import count_cores
from buckler.files import writing
from buckler.normalize.feature_table import events_as_bytes
from buckler.operating_point import OperatingPoint
from buckler.readers.batches import Batch, Position, read_batches
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import find_inputs
from buckler.runtime import Scorer
from buckler.serving.bundles import LoadedBundle, load_bundle
from buckler.serving.challengers import Challengers, count_pairs
from buckler.serving.scan_rows import OutputRows, RecordLines, ScoredBatch, TableRows
from buckler.serving.scan_state import (
    ScanState,
    open_quarantine,
    open_state,
    write_checkpoint,
)
from buckler.serving.sinks import Sink, sink_for
from buckler.serving.sinks.text_sinks import JsonLinesSink, RecordLinesSink
from buckler.serving.verdict_batch import OutputOptions, score_events
from buckler.signals import stop_on_signals

CHECKPOINT_S = 30.0


@dataclass(frozen=True)
class ScanOptions:
    """Choices of a scan.

    Attributes
    ----------
    text_columns, format_name
        Names of the text column (by default those of the task), and format of every file (by
        default the suffix tells).
    operating_point
        Wish that decides the threshold; None for the deployed one.
    with_text, with_probabilities
        True to write the text too (by default only where texts are short, not for mail), and a
        column with the probability of each class.
    keep, keep_all
        Names of fields of the event to write too (a dotted name reaches into nested objects); True
        to write the whole event.
    explain
        Number of pieces to name that count most for each verdict.
    verdict_format, index
        Name of a verdict format, such as ``ecs`` (see `buckler.serving.formats`): the output is
        JSON lines of such records. With an index, a line of Elasticsearch's bulk interface precedes
        each.
    only_detections
        True to write detections alone.
    threads
        Number of threads for scoring; by default one for each core that this process may use.
    challengers
        Further bundles that answer the same question: their score and detection are written beside
        each verdict, and counted.
    trusted_key
        A public key: all bundles must be signed by its owner.
    overwrite, restart
        True to replace an existing output, and to throw away what an interrupted scan left.
    """

    text_columns: tuple[str, ...] = ()
    format_name: str | None = None
    operating_point: OperatingPoint | None = None
    with_text: bool | None = None
    with_probabilities: bool = False
    keep: tuple[str, ...] = ()
    keep_all: bool = False
    explain: int = 0
    verdict_format: str | None = None
    index: str = ""
    only_detections: bool = False
    threads: int | None = None
    challengers: tuple[Path, ...] = ()
    trusted_key: Path | None = None
    overwrite: bool = False
    restart: bool = False


@dataclass(frozen=True)
class ScanProgress:
    """Progress of a scan since it was started: bytes read and to read, rows, time."""

    size_bytes: int
    total_bytes: int
    rows: int
    seconds: float


@dataclass(frozen=True)
class ScanResult:
    """Result of a scan.

    Attributes
    ----------
    output, rows, detections
        File with the verdicts, rows in it, and detections among them.
    quarantined, quarantine_file, quarantine_summary
        Rows that could not be read: their number, the file that lists them (None without any), and
        one line about the reasons.
    passed_over
        Rows that are events of another kind.
    resumed_at_row, seconds
        Row behind which the scan resumed (0 for a scan in one go), and time of this call.
    challengers
        Name -> number of events by who detected them.
    """

    output: Path
    rows: int
    detections: int
    quarantined: int
    quarantine_file: Path | None
    quarantine_summary: str
    passed_over: int
    resumed_at_row: int
    seconds: float
    challengers: dict[str, dict[str, int]]


def scan(
    bundle: Scorer | str | Path,
    inputs: Sequence[str | Path],
    output: str | Path,
    options: ScanOptions | None = None,
    on_progress: Callable[[ScanProgress], None] | None = None,
) -> ScanResult:
    """Score every row of files and folders into one output file.

    An interrupted scan leaves `<output>.partial`; the same call resumes there.

    Parameters
    ----------
    bundle
        A .buckler file, or its scorer.
    inputs
        Files and folders.
    output
        ``.parquet``, ``.jsonl``, ``.csv`` or what another sink writes. Rows that cannot be read go
        to ``<output>.quarantine.jsonl``.
    options
        Columns, threshold and content of the output.
    on_progress
        Called after each chunk.

    Raises
    ------
    InputError
        If the only input cannot be read; one of many is set aside and counted instead.
    OutputError
        If the output cannot be written, or exists.
    ScanInterruptedError
        On SIGINT or SIGTERM, after a checkpoint.
    """
    started = time.monotonic()
    options = options or ScanOptions()
    target = Path(output)
    sink_type = _sink_type(target, options)
    if target.exists() and not options.overwrite:
        raise OutputError(
            f"{target} exists; give another name, or ask to overwrite it",
            path=target,
            field="overwrite",
        )
    files = find_inputs([Path(path) for path in inputs], options.format_name)
    loaded = load_bundle(bundle, options.text_columns, options.trusted_key, options.operating_point)
    work = _Scan(loaded, files, options)
    folder = target.with_name(target.name + ".partial")
    state = open_state(folder, work.key(), restart=options.restart)
    resumed_at_row = state.rows
    with writing(folder):
        quarantine = open_quarantine(folder / "quarantine.jsonl", state)
        sink = sink_type(folder, work.schema, state.sink_position)
    with _clear_errors(target, sink, quarantine, folder):
        work.run(state, sink, quarantine, on_progress)
        quarantine_file = _finish(target, sink, quarantine, folder)
    return ScanResult(
        output=target,
        rows=state.rows,
        detections=state.detections,
        quarantined=quarantine.count,
        quarantine_file=quarantine_file,
        quarantine_summary=quarantine.summary(),
        passed_over=quarantine.passed_over.total(),
        resumed_at_row=resumed_at_row,
        seconds=time.monotonic() - started,
        challengers=state.challengers,
    )


def _sink_type(target: Path, options: ScanOptions) -> type[Sink]:
    if options.verdict_format is None:
        return sink_for(target)
    if target.suffix.lower() not in JsonLinesSink.suffixes:
        raise OutputError(
            f"{target}: records of the format {options.verdict_format} are JSON lines; "
            f"name it {' or '.join(JsonLinesSink.suffixes)}",
            path=target,
        )
    return RecordLinesSink


def _finish(target: Path, sink: Sink, quarantine: Quarantine, folder: Path) -> Path | None:
    """Put the results in their places; return the file of the quarantine, if there is one."""
    quarantine.close()
    sink.finish(target)
    quarantine_file = target.with_name(target.name + ".quarantine.jsonl")
    if (folder / "quarantine.jsonl").exists():
        (folder / "quarantine.jsonl").replace(quarantine_file)
    else:
        quarantine_file.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return quarantine_file if quarantine.count else None


@contextmanager
def _clear_errors(target: Path, sink: Sink, quarantine: Quarantine, folder: Path) -> Iterator[None]:
    """Turn errors of the disk into one clear error; what is safe stays for a resume."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0][:200]
        raise OutputError(
            f"{target}: cannot be written ({reason}); nothing before the last checkpoint is lost: "
            "make room and run the same scan again",
            path=target,
        ) from error
    finally:
        sink.abandon()
        with suppress(OutputError):
            quarantine.close()
        if not (folder / "state.json").exists():  # nothing to resume
            shutil.rmtree(folder, ignore_errors=True)


# --- scoring --------------------------------------------------------------------------------------


class _Scan:
    """A scan of these files by this bundle."""

    def __init__(self, bundle: LoadedBundle, files: list[Path], options: ScanOptions) -> None:
        self._bundle, self._scorer = bundle, bundle.scorer
        self._files, self._options = files, options
        self._challengers = Challengers(options.challengers, bundle)
        with_text = options.with_text
        self._output = OutputOptions(
            with_text=not self._scorer.parses_texts if with_text is None else with_text,
            with_probabilities=options.with_probabilities,
            threads=options.threads or count_cores(),
            format_name=options.verdict_format,
            explain=options.explain,
            keep=options.keep,
            keep_all=options.keep_all,
        )
        n_challengers = len(self._challengers.bundles)
        self._rows: OutputRows
        if options.verdict_format is None:
            self._rows = TableRows(self._scorer, self._output, n_challengers)
        else:
            self._rows = RecordLines(self._scorer, self._output, options.index, n_challengers)

    def key(self) -> dict[str, object]:
        """Return what decides the content of the output; a scan resumes only where it is equal."""
        options = self._options
        key = {
            "bundle": self._scorer.sha256,
            "inputs": [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in self._files],
            "settings": {
                "columns": self._bundle.columns.text,
                "context": self._bundle.columns.context,
                "format_name": options.format_name,
                **asdict(replace(self._output, threads=1)),
                "verdict_format": options.verdict_format,
                "index": options.index,
                "only_detections": options.only_detections,
                "threshold": self._scorer.threshold,
            },
            "challengers": [each.scorer.sha256 for each in self._challengers.bundles.values()],
        }
        return dict(json.loads(json.dumps(key)))  # as the state is read back: no tuples

    @property
    def schema(self) -> pa.Schema:
        """Columns of the output."""
        return self._rows.schema

    def run(
        self,
        state: ScanState,
        sink: Sink,
        quarantine: Quarantine,
        on_progress: Callable[[ScanProgress], None] | None,
    ) -> None:
        """Score all that is left, with checkpoints on the way."""
        started = last_checkpoint = time.monotonic()
        total_bytes = sum(path.stat().st_size for path in self._files)
        size_bytes, rows_before = 0, state.rows
        batches = read_batches(
            self._files,
            self._output.columns_to_read(self._bundle.columns),
            quarantine,
            format_name=self._options.format_name,
            start=Position(state.file, state.cursor),
            skip_unreadable=len(self._files) > 1,
        )
        with stop_on_signals() as stop:
            for batch in batches:
                quarantined = quarantine.count
                rows = self._score(batch, state, quarantine)
                mark = batch.mark if quarantine.count == quarantined else quarantine.mark()
                sink.write(rows)
                state.file, state.cursor = batch.position.file, batch.position.cursor
                size_bytes += batch.chunk.size_bytes
                now = time.monotonic()
                if on_progress is not None:
                    done = state.rows - rows_before
                    on_progress(ScanProgress(size_bytes, total_bytes, done, now - started))
                if stop.is_set() or now - last_checkpoint > CHECKPOINT_S:
                    write_checkpoint(state, sink, quarantine, mark)
                    last_checkpoint = now
                if stop.is_set():
                    raise ScanInterruptedError(
                        f"stopped after {state.rows:,} rows; run the same command again to "
                        "resume there"
                    )

    def _score(self, batch: Batch, state: ScanState, quarantine: Quarantine) -> pa.RecordBatch:
        """Return the rows to write of a batch, and count."""
        events, rows, codes = batch.chunk.events, batch.chunk.rows, batch.path_codes
        found = score_events(events, self._scorer, self._output, batch.chunk.columns)
        for at, reason in found.errors.items():
            sample = events_as_bytes(events[at : at + 1], self._scorer.features)[0]
            quarantine.add(batch.paths[codes[at]], int(rows[at]), reason, sample)
        state.rows += len(found.rows)
        state.detections += found.detections
        others = []
        options = OutputOptions(threads=self._output.threads)
        for name, challenger in self._challengers.bundles.items():
            other = score_events(found.events, challenger.scorer, options)
            counts = state.challengers.setdefault(name, {})
            pairs = count_pairs(found.columns["detected"].to_pylist(), other.detected)
            for pair, n in pairs.items():
                counts[pair] = counts.get(pair, 0) + n
            others.append(other)
        if self._options.only_detections:
            kept = np.flatnonzero(found.columns["detected"].to_numpy(zero_copy_only=False))
            found, others = found.take(kept), [other.take(kept) for other in others]
        return self._rows.rows(ScoredBatch(batch, found, others))
