"""Scan: scores files of any size in bounded memory; stops at any moment and resumes there."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from buckler.errors import OutputError, ScanInterruptedError
from buckler.files import path_text, writing
from buckler.normalize import FeatureSchema, FeatureTable
from buckler.normalize.feature_table import events_as_bytes
from buckler.readers.batches import Batch, Position, read_batches
from buckler.readers.chunks import is_utf8
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import find_inputs
from buckler.runtime import Scorer
from buckler.serving.bundles import LoadedBundle, load_bundle
from buckler.serving.challengers import Challengers, count_pairs
from buckler.serving.scan_state import (
    ScanState,
    open_quarantine,
    open_state,
    write_checkpoint,
)
from buckler.serving.sinks import Sink, sink_for
from buckler.serving.verdicts import OutputOptions, score_events
from buckler.signals import stop_on_signals

CHECKPOINT_S = 30.0
_SEPARATOR, _BAR = "\x1f", " | "  # between the fields of a text, as people read them
_NAMES = pa.dictionary(pa.int32(), pa.string())
_PLACE = [pa.field("path", _NAMES), pa.field("row", pa.int64())]
_PLACE_AT = 3  # behind label, score and detected


@dataclass(frozen=True)
class ScanOptions:
    """Choices of a scan.

    Attributes
    ----------
    text_columns, format_name
        Names of the text column (by default those of the task), and format of every file (by
        default the suffix tells).
    target_fpr
        False-positive rate whose threshold decides; None for the deployed threshold.
    with_text, with_probabilities
        True to write the text too (by default only where texts are short, not for mail), and a
        column with the probability of each class.
    threads
        Number of threads for scoring.
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
    target_fpr: float | None = None
    with_text: bool | None = None
    with_probabilities: bool = False
    threads: int = 1
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
    sink_type = sink_for(target)
    if target.exists() and not options.overwrite:
        raise OutputError(
            f"{target} exists; give another name, or ask to overwrite it",
            path=target,
            field="overwrite",
        )
    files = find_inputs([Path(path) for path in inputs], options.format_name)
    loaded = load_bundle(bundle, options.text_columns, options.trusted_key, options.target_fpr)
    work = _Scan(loaded, files, options)
    folder = target.with_name(target.name + ".partial")
    state = open_state(folder, work.key(), restart=options.restart)
    resumed_at_row = state.rows
    with writing(folder):
        quarantine = open_quarantine(folder / "quarantine.jsonl", state)
        sink = sink_type(folder, work.schema(), state.sink_position)
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
        self._with_text = not self._scorer.parses_texts if with_text is None else with_text
        self._output = OutputOptions(
            target_fpr=options.target_fpr,
            with_probabilities=options.with_probabilities,
            threads=options.threads,
        )

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
                "target_fpr": options.target_fpr,
                "with_text": self._with_text,
                "with_probabilities": options.with_probabilities,
            },
            "challengers": [each.scorer.sha256 for each in self._challengers.bundles.values()],
        }
        return dict(json.loads(json.dumps(key)))  # as the state is read back: no tuples

    def schema(self) -> pa.Schema:
        """Return the columns of the output."""
        empty = score_events(pa.array([], pa.large_binary()), self._scorer, self._output)
        fields = list(empty.columns.schema)
        fields[_PLACE_AT:_PLACE_AT] = _PLACE
        if self._with_text:
            fields.insert(0, pa.field("text", pa.large_string()))
        for number in range(1, len(self._challengers.bundles) + 1):
            fields.append(pa.field(f"challenger_{number}_score", pa.float32()))
            fields.append(pa.field(f"challenger_{number}_detected", pa.bool_()))
        return pa.schema(fields)

    def run(
        self,
        state: ScanState,
        sink: Sink,
        quarantine: Quarantine,
        on_progress: Callable[[ScanProgress], None] | None,
    ) -> None:
        """Score all that is left, with checkpoints on the way."""
        started = last_checkpoint = time.monotonic()
        schema = self.schema()
        total_bytes = sum(path.stat().st_size for path in self._files)
        size_bytes, rows_before = 0, state.rows
        batches = read_batches(
            self._files,
            self._bundle.columns,
            quarantine,
            format_name=self._options.format_name,
            start=Position(state.file, state.cursor),
            skip_unreadable=len(self._files) > 1,
        )
        with stop_on_signals() as stop:
            for batch in batches:
                quarantined = quarantine.count
                verdicts = self._score(batch, schema, state, quarantine)
                mark = batch.mark if quarantine.count == quarantined else quarantine.mark()
                sink.write(verdicts)
                state.file, state.cursor = batch.position.file, batch.position.cursor
                state.rows += verdicts.num_rows
                state.detections += verdicts.column("detected").true_count
                size_bytes += batch.chunk.size_bytes
                now = time.monotonic()
                if on_progress is not None:
                    rows = state.rows - rows_before
                    on_progress(ScanProgress(size_bytes, total_bytes, rows, now - started))
                if stop.is_set() or now - last_checkpoint > CHECKPOINT_S:
                    write_checkpoint(state, sink, quarantine, mark)
                    last_checkpoint = now
                if stop.is_set():
                    raise ScanInterruptedError(
                        f"stopped after {state.rows:,} rows; run the same command again to "
                        "resume there"
                    )

    def _score(
        self, batch: Batch, schema: pa.Schema, state: ScanState, quarantine: Quarantine
    ) -> pa.RecordBatch:
        """Return the verdicts of a batch, those of challengers behind them, and count."""
        events, rows, codes = batch.chunk.events, batch.chunk.rows, batch.path_codes
        found = score_events(events, self._scorer, self._output)
        for at, reason in found.errors.items():
            sample = events_as_bytes(events[at : at + 1], self._scorer.features)[0]
            quarantine.add(batch.paths[codes[at]], int(rows[at]), reason, sample)
        columns = list(found.columns.columns)
        columns[_PLACE_AT:_PLACE_AT] = [
            pa.DictionaryArray.from_arrays(
                pa.array(codes[found.rows]), pa.array([path_text(path) for path in batch.paths])
            ),
            pa.array(rows[found.rows]),
        ]
        if self._with_text:
            columns.insert(0, _readable(found.events, self._scorer.features))
        for name, challenger in self._challengers.bundles.items():
            other = score_events(found.events, challenger.scorer, self._output)
            columns += [other.align("score"), other.align("detected")]
            counts = state.challengers.setdefault(name, {})
            for pair, n in count_pairs(
                found.columns["detected"].to_pylist(), other.detected
            ).items():
                counts[pair] = counts.get(pair, 0) + n
        return pa.RecordBatch.from_arrays(columns, schema=schema)


def _readable(text: pa.Array, features: FeatureSchema | None) -> pa.Array:
    """Return events as strings; bytes of mail that are not UTF-8 are replaced."""
    if features is not None:
        rows = FeatureTable.from_arrow(features, text).texts
        return pa.array(["; ".join(features.describe(row)) for row in rows], pa.large_string())
    if is_utf8(text):
        return pc.replace_substring(text.view(pa.large_string()), _SEPARATOR, _BAR)
    return pa.array([t.decode("utf-8", "replace") for t in text.to_pylist()], pa.large_string())
