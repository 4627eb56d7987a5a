"""Pipes: lines in, JSON lines or hourly Parquet files out: ``tail -F eve.json | buckler stream -``.

Every line gets its answer, in order, soon: a batch is scored when it is full or its first line has
waited long enough, whichever comes first.
"""

import json
import os
import select
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import orjson
import pyarrow as pa

from buckler.isolation import EventFault
from buckler.readers.zeek import ZeekLines
from buckler.serving.bundles import LoadedBundle
from buckler.serving.challengers import Challengers
from buckler.serving.event_values import NOT_JSON, JsonTexts, parse_event
from buckler.serving.formats import VERDICT_FORMATS
from buckler.serving.formats.ecs import bulk_action
from buckler.serving.records import kept_columns, to_records, write_records
from buckler.serving.stream.hourly import HourlyFiles
from buckler.serving.verdict_batch import (
    OutputOptions,
    VerdictBatch,
    score_values,
)

_READ_BYTES = 1 << 18
MAX_LINE_BYTES = 1 << 24
LONG_LINE: Final = b"\n"  # stands for a line that is too long: no line holds its end


@dataclass(frozen=True)
class LineOptions:
    """Choices of a pipe.

    Attributes
    ----------
    output
        Content of the answers.
    batch_events, batch_s
        Number of lines, and age of the first, at which a batch is scored.
    only_detections
        True to answer detections alone; else there is one line out for each line in.
    pass_over
        True where lines without a text are events of another kind: no answer, and no error.
    index
        Index for Elasticsearch's bulk interface: an action line precedes each ECS document; empty
        for none.
    challengers
        Bundles that score too, after the answer; only counts stay.
    """

    output: OutputOptions = field(default_factory=OutputOptions)
    batch_events: int = 2000
    batch_s: float = 0.2
    only_detections: bool = False
    pass_over: bool = False
    index: str = ""
    challengers: tuple[Path, ...] = ()


@dataclass
class LineCounts:
    """Numbers of lines: all, detections, errors, other events; by challenger, who detected them."""

    lines: int = 0
    detections: int = 0
    errors: int = 0
    passed_over: int = 0
    challengers: dict[str, dict[str, int]] = field(default_factory=dict)


def score_lines(
    bundle: LoadedBundle,
    source: BinaryIO,
    output: BinaryIO | Path,
    options: LineOptions,
    stop: threading.Event,
) -> LineCounts:
    """Score lines until the source ends or `stop` is set; what was read is answered first.

    Parameters
    ----------
    output
        A file for JSON lines, or a folder for hourly Parquet files.

    Raises
    ------
    BrokenPipeError
        If the reader of the answers went away.
    OutputError
        If a Parquet file cannot be written.
    SettingsError
        If there is no such verdict format, or a challenger answers another question.
    """
    if options.output.format_name is not None:
        VERDICT_FORMATS.get(options.output.format_name)  # an unknown one fails before any line
    challengers = Challengers(options.challengers, bundle)
    counts = LineCounts()
    files = HourlyFiles(output) if isinstance(output, Path) else None
    zeek = ZeekLines()
    for lines in batch_lines(
        source, options.batch_events, options.batch_s, stop, yield_when_idle=files is not None
    ):
        n_lines = len(lines)
        lines = [line for line in lines if not zeek.take_header(line)]
        counts.lines += n_lines
        counts.passed_over += n_lines - len(lines)
        values = JsonTexts(lines, partial(_parse_line, zeek))
        verdicts = score_values(values, bundle, options.output, pass_over=options.pass_over)
        rows = _rows_to_answer(verdicts, options)
        if files is not None:
            files.write(_to_table(values, verdicts, rows, options.output))
        elif not isinstance(output, Path):
            output.write(b"".join(_to_lines(verdicts, rows, bundle, options)))
            output.flush()
        if len(values):
            challengers.score(values, verdicts)
        counts.detections += verdicts.detections
        counts.errors += len(verdicts.errors)
        counts.passed_over += len(verdicts.passed_over)
    if files is not None:
        files.flush()
    counts.challengers = {name: dict(n) for name, n in challengers.counts.items()}
    return counts


def _parse_line(zeek: ZeekLines, line: bytes) -> object:
    """Return the value of a line: JSON, a record of Zeek behind its header, or a text.

    A line that begins like JSON is broken JSON.
    """
    if line == LONG_LINE:
        return EventFault(f"line longer than {MAX_LINE_BYTES:,} bytes", ValueError("long line"))
    value = parse_event(line) if line.strip() else None
    if value is not NOT_JSON:
        return value
    if (record := zeek.parse(line)) is not None:
        return record
    if line.lstrip()[:1] in (b"{", b"[", b'"'):
        return NOT_JSON
    return line.decode("utf-8", "surrogateescape")


def _rows_to_answer(verdicts: VerdictBatch, options: LineOptions) -> list[int]:
    if options.only_detections:
        return [row for row, detected in enumerate(verdicts.detected) if detected]
    passed_over = verdicts.passed_over
    return [row for row in range(verdicts.size) if row not in passed_over]


def _to_lines(
    verdicts: VerdictBatch, rows: Sequence[int], bundle: LoadedBundle, options: LineOptions
) -> Iterator[bytes]:
    if not options.index:
        for text in write_records(verdicts, bundle.scorer, options.output, rows=rows):
            yield text + b"\n"
        return
    for record in to_records(verdicts, bundle.scorer, options.output, rows=rows):
        if "error" not in record:
            yield orjson.dumps(bulk_action(record, options.index)) + b"\n"
            yield orjson.dumps(record) + b"\n"


def _to_table(
    values: JsonTexts, verdicts: VerdictBatch, rows: Sequence[int], options: OutputOptions
) -> pa.Table:
    """Return the answers as rows: time, error, text and kept fields if asked for, the verdict."""
    found = verdicts.to_arrow()
    size = verdicts.size
    now = pa.scalar(datetime.now(UTC), pa.timestamp("ms", "UTC"))
    columns = {"time": pa.repeat(now, size), "error": found["error"]}
    if options.with_text:
        texts = [
            None if row in verdicts.errors else _as_text(value) for row, value in enumerate(values)
        ]
        columns["text"] = pa.array(texts, pa.large_string())
    columns |= dict(zip(found.schema.names, found.columns, strict=True))
    for name, kept in kept_columns(verdicts, options, taken=columns.keys()).items():
        columns[name] = verdicts.spread(kept)
    return pa.table(columns).take(pa.array(np.array(rows, np.int64)))


def _as_text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "backslashreplace").decode()


# --- reading --------------------------------------------------------------------------------------


def batch_lines(
    source: BinaryIO,
    batch_events: int,
    batch_s: float,
    stop: threading.Event,
    *,
    yield_when_idle: bool = False,
) -> Iterator[list[bytes]]:
    """Yield lines by number and by time, whichever comes first; empty lists too when idle.

    `LONG_LINE` stands for a line of more than 16 MiB, so that it is answered by an error.
    """
    handle = source.fileno()
    waiting: list[bytes] = []
    parts: list[bytes] = []  # of a line whose end is not there yet; none where it is too long
    size_bytes = 0
    first = 0.0
    ended = False

    def end_line(data: bytes) -> bytes:
        return LONG_LINE if size_bytes + len(data) > MAX_LINE_BYTES else b"".join((*parts, data))

    while not ended and not stop.is_set():
        left = batch_s if not waiting else max(0.0, first + batch_s - time.monotonic())
        ready, _, _ = select.select([handle], [], [], left)
        if ready:
            data = os.read(handle, _READ_BYTES)
            ended = not data
            *whole, rest = data.split(b"\n")
            if whole:
                whole[0] = end_line(whole[0])
                parts, size_bytes = [], 0
                if not waiting:
                    first = time.monotonic()
                waiting += whole
            size_bytes += len(rest)
            parts.append(rest)
            if size_bytes > MAX_LINE_BYTES:
                parts.clear()
        while len(waiting) >= batch_events:
            yield waiting[:batch_events]
            waiting = waiting[batch_events:]
        if waiting and time.monotonic() - first >= batch_s:
            yield waiting
            waiting = []
        elif yield_when_idle and not waiting:
            yield []
    last = end_line(b"")
    if last.strip() or last == LONG_LINE:
        waiting.append(last)
    if waiting:
        yield waiting
