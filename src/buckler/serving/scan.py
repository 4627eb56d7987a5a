"""Scores files of any size in bounded memory; stops at any moment and goes on where it stopped."""

import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow as pa

from buckler.errors import OutputError, ScanInterruptedError
from buckler.files import write_atomically
from buckler.readers.batches import Position, read_batches
from buckler.readers.quarantine import Quarantine, QuarantineMark
from buckler.readers.reader import Chunk, find_inputs
from buckler.runtime import Scorer
from buckler.serving.challengers import Challengers, count_pairs
from buckler.serving.fields import Fields
from buckler.serving.sinks import Sink, sink_for
from buckler.serving.verdicts import VerdictForm, verdict_batch, verdict_columns, verdict_schema

CHECKPOINT_S = 30.0


@dataclass(frozen=True)
class ScanSettings:
    """What decides the content of the output.

    Attributes
    ----------
    fields
        Under which names text and further fields come.
    format_name
        Read every file as this format.
    target_fpr
        Detection at the threshold for this rate; None for the deployed one.
    with_text, with_probabilities
        Whether to write the text, and a column for each class.
    threads
        For scoring.
    challengers
        Further bundles that decide the same: their score and detection are written beside each
        verdict, and counted.
    """

    fields: Fields
    format_name: str | None = None
    target_fpr: float | None = None
    with_text: bool = True
    with_probabilities: bool = False
    threads: int = 1
    challengers: tuple[Path, ...] = ()

    @property
    def form(self) -> VerdictForm:
        """What a verdict says."""
        return VerdictForm(self.target_fpr, self.with_text, self.with_probabilities, self.threads)


@dataclass
class ScanState:
    """How far a scan has come; written at each checkpoint.

    Attributes
    ----------
    key
        What is scanned with what; a scan is only resumed where all of it is the same.
    file, cursor
        The input at work, and where its reader goes on.
    sink_position, quarantine_bytes
        Up to where the output files count.
    rows, detections
        Written so far.
    reasons
        Rows set aside, by reason.
    passed_over
        Rows that are other kinds of events.
    shadow
        Of each challenger: who raised a detection, and how often.
    """

    key: dict[str, Any]
    file: int = 0
    cursor: int = 0
    sink_position: int = 0
    quarantine_bytes: int = 0
    rows: int = 0
    detections: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    passed_over: dict[str, int] = field(default_factory=dict)
    shadow: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class ScanResult:
    """What a scan did."""

    output: Path
    rows: int
    detections: int
    quarantined: int
    quarantine_file: Path | None
    quarantine_summary: str
    passed_over: int
    resumed_at_row: int
    seconds: float
    shadow: dict[str, dict[str, int]]


def scan(
    scorer: Scorer,
    paths: list[Path],
    target: Path,
    settings: ScanSettings,
    *,
    overwrite: bool = False,
    restart: bool = False,
    trusted_key: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> ScanResult:
    """Score every row of files and folders into one output file.

    An interrupted scan leaves `<target>.partial`; the same call goes on from there.

    Parameters
    ----------
    target
        ``.parquet``, ``.jsonl`` or ``.csv``. Rows that cannot be read go to
        ``<target>.quarantine.jsonl``.
    overwrite
        Replace an existing target.
    restart
        Throw away what an interrupted scan left.
    trusted_key
        Who must have signed the challengers.
    on_progress
        Called with the bytes read and the rows scored since the last call.

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
    sink_type = sink_for(target)
    if target.exists() and not overwrite:
        raise OutputError(
            f"{target} exists; give another name, or overwrite it", path=target, field="overwrite"
        )
    inputs = find_inputs(paths, settings.format_name)
    scorer.threshold(settings.target_fpr)  # a rate without a threshold fails before any work
    challengers = Challengers(settings.challengers, scorer, trusted_key)
    folder = target.with_name(target.name + ".partial")
    state = _open_state(folder, _key(scorer, challengers, inputs, settings), restart)
    resumed_at_row = state.rows
    quarantine_path = target.with_name(target.name + ".quarantine.jsonl")
    try:
        quarantine = _open_quarantine(folder / "quarantine.jsonl", state)
        schema = _with_challengers(verdict_schema(scorer, settings.form), challengers)
        sink = sink_type(folder, schema, state.sink_position)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror})") from error
    with _writing(target, sink, quarantine, folder):
        _scan_all(
            scorer, challengers, inputs, settings, state, sink, quarantine, folder, on_progress
        )
        quarantine.close()
        sink.finish(target)
        if (folder / "quarantine.jsonl").exists():
            (folder / "quarantine.jsonl").replace(quarantine_path)
        elif quarantine_path.exists():
            quarantine_path.unlink()
        shutil.rmtree(folder, ignore_errors=True)
    return ScanResult(
        target,
        state.rows,
        state.detections,
        quarantine.count,
        quarantine_path if quarantine.count else None,
        quarantine.summary(),
        quarantine.passed_over.total(),
        resumed_at_row,
        time.monotonic() - started,
        state.shadow,
    )


@contextmanager
def _writing(target: Path, sink: Sink, quarantine: Quarantine, folder: Path) -> Iterator[None]:
    """Turn errors of the disk into one clear error; what is safe stays for a resume."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0][:200]
        raise OutputError(
            f"{target}: cannot be written ({reason}); nothing before the last checkpoint is lost: "
            "make room and run the same command again"
        ) from error
    finally:
        sink.abandon()
        with suppress(OutputError):
            quarantine.close()
        if not (folder / "state.json").exists():  # nothing to go on from
            shutil.rmtree(folder, ignore_errors=True)


def _scan_all(
    scorer: Scorer,
    challengers: Challengers,
    inputs: list[Path],
    settings: ScanSettings,
    state: ScanState,
    sink: Sink,
    quarantine: Quarantine,
    folder: Path,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    form = settings.form
    last_checkpoint = time.monotonic()
    batches = read_batches(
        inputs,
        settings.fields.column_spec(scorer),
        quarantine,
        format_name=settings.format_name,
        start=Position(state.file, state.cursor),
        skip_unreadable=len(inputs) > 1,
    )
    with _stop_flag() as stop:
        for batch in batches:
            verdicts = verdict_batch(scorer, batch, form)
            verdicts = _challenged(verdicts, batch.chunk, challengers, form, state)
            sink.write(verdicts)
            state.file, state.cursor = batch.position.file, batch.position.cursor
            state.rows += verdicts.num_rows
            state.detections += verdicts.column("detected").true_count
            if on_progress is not None:
                on_progress(batch.chunk.size_bytes, verdicts.num_rows)
            if stop[0] or time.monotonic() - last_checkpoint > CHECKPOINT_S:
                _checkpoint(state, sink, quarantine, batch.mark, folder)
                last_checkpoint = time.monotonic()
            if stop[0]:
                raise ScanInterruptedError(
                    f"stopped after {state.rows:,} rows; "
                    "run the same command again to go on from there"
                )


def _with_challengers(schema: pa.Schema, challengers: Challengers) -> pa.Schema:
    for number in range(1, len(challengers.scorers) + 1):
        schema = schema.append(pa.field(f"challenger_{number}_score", pa.float32()))
        schema = schema.append(pa.field(f"challenger_{number}_detected", pa.bool_()))
    return schema


def _challenged(
    batch: pa.RecordBatch,
    chunk: Chunk,
    challengers: Challengers,
    form: VerdictForm,
    state: ScanState,
) -> pa.RecordBatch:
    """Return the verdicts with those of challengers behind them, and count."""
    if not challengers:
        return batch
    before, columns = batch.column("detected").to_pylist(), list(batch.columns)
    for name, scorer in challengers.scorers.items():
        found = verdict_columns(scorer, chunk.text, form)
        columns += [found["score"], found["detected"]]
        counts = state.shadow.setdefault(name, {})
        for pair, n in count_pairs(before, found["detected"].to_pylist()).items():
            counts[pair] = counts.get(pair, 0) + n
    schema = _with_challengers(batch.schema, challengers)
    return pa.RecordBatch.from_arrays(columns, schema=schema)


# --- state ------------------------------------------------------------------------------------


def _key(
    scorer: Scorer, challengers: Challengers, inputs: list[Path], settings: ScanSettings
) -> dict[str, Any]:
    files = [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in inputs]
    chosen = {k: v for k, v in asdict(settings).items() if k not in ("threads", "challengers")}
    key = {"bundle": scorer.sha256, "inputs": files, "settings": chosen}
    if challengers:
        key["challengers"] = [found.sha256 for found in challengers.scorers.values()]
    return dict(json.loads(json.dumps(key)))


def _open_state(folder: Path, key: dict[str, Any], restart: bool) -> ScanState:
    file = folder / "state.json"
    try:
        if restart and folder.exists():
            shutil.rmtree(folder)
        if file.exists():
            state = ScanState(**json.loads(file.read_bytes()))
            if state.key != key:
                raise OutputError(
                    f"{folder} is an unfinished scan with another bundle, other input files or "
                    "other options; finish that one, or restart to throw it away",
                    path=folder,
                    field="restart",
                )
            return state
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror})") from error
    except (ValueError, TypeError) as error:
        raise OutputError(
            f"{file} is damaged; restart to begin again", path=file, field="restart"
        ) from error
    return ScanState(key)


def _open_quarantine(path: Path, state: ScanState) -> Quarantine:
    if path.exists():
        with path.open("r+b") as file:
            file.truncate(state.quarantine_bytes)
    quarantine = Quarantine(path, resume=True)
    quarantine.reasons.update(state.reasons)
    quarantine.passed_over.update(state.passed_over)
    return quarantine


def _checkpoint(
    state: ScanState, sink: Sink, quarantine: Quarantine, mark: QuarantineMark, folder: Path
) -> None:
    state.sink_position = sink.checkpoint()
    quarantine.flush()
    state.quarantine_bytes = mark.size_bytes
    state.reasons, state.passed_over = mark.reasons, mark.passed_over
    write_atomically(folder / "state.json", json.dumps(asdict(state)).encode())


@contextmanager
def _stop_flag() -> Iterator[list[bool]]:
    """Let the first SIGINT or SIGTERM finish the chunk at work; a second one stops at once."""
    flag = [False]

    def handle(number: int, frame: FrameType | None) -> None:
        if flag[0]:
            signal.default_int_handler(number, frame)
        flag[0] = True

    before: dict[int, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, handle)
    except ValueError:  # not in the main thread: whoever calls handles signals
        pass
    try:
        yield flag
    finally:
        for changed, handler in before.items():
            signal.signal(changed, handler)
