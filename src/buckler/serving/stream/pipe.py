"""Lines in, JSON lines out, as they come: ``tail -F eve.json | buckler stream -``."""

import os
import select
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from buckler.runtime import Scorer
from buckler.serving.challengers import Challengers
from buckler.serving.fields import Fields
from buckler.serving.formats.ecs import bulk_action
from buckler.serving.records import Records, Wish, challenge, judge_values, loads
from buckler.serving.stream.partitions import Partitions
from buckler.serving.verdicts import VerdictForm, answer_schema

_READ_BYTES = 1 << 18
MAX_LINE_BYTES = 1 << 24


@dataclass(frozen=True)
class PipeSettings:
    """How a pipe is judged.

    Attributes
    ----------
    fields, wish
        Under which names events come, and how they are answered.
    batch_events, batch_s
        A batch is judged when it has so many lines, or its first has waited so long.
    only_detections
        Answer detections alone; else there is one line out for each line in.
    pass_over
        Lines without the fields are other kinds of events: no answer, and no error.
    index
        Write for Elasticsearch's bulk interface, into this index.
    challengers
        Judge too, after the answer; only counts stay.
    """

    fields: Fields
    wish: Wish
    batch_events: int = 2000
    batch_s: float = 0.2
    only_detections: bool = False
    pass_over: bool = False
    index: str = ""
    challengers: Challengers | None = None


@dataclass
class PipeCounts:
    """What came and went."""

    lines: int = 0
    detections: int = 0
    errors: int = 0
    passed_over: int = 0


def run_pipe(
    scorer: Scorer,
    settings: PipeSettings,
    source: BinaryIO,
    sink: BinaryIO,
    stop: threading.Event,
) -> PipeCounts:
    """Judge lines until the source ends or `stop` is set; what was read is answered first.

    Raises
    ------
    BrokenPipeError
        If whoever reads the answers went away.
    """
    counts = PipeCounts()
    for lines in batches(source, settings.batch_events, settings.batch_s, stop):
        judged = _judged(lines, scorer, settings, counts)
        sink.write(b"".join(_answers(judged, settings)))
        sink.flush()
        _challenge(judged, settings)
    return counts


def run_into_partitions(
    scorer: Scorer,
    settings: PipeSettings,
    source: BinaryIO,
    partitions: Partitions,
    stop: threading.Event,
) -> PipeCounts:
    """Judge lines into Parquet partitions until the source ends or `stop` is set.

    Raises
    ------
    OutputError
        If a part cannot be written.
    """
    counts = PipeCounts()
    for lines in batches(source, settings.batch_events, settings.batch_s, stop, idle=True):
        judged = _judged(lines, scorer, settings, counts)
        partitions.write(list(_rows(judged, settings)))
        _challenge(judged, settings)
    partitions.flush()
    return counts


def partition_schema(scorer: Scorer, form: VerdictForm) -> pa.Schema:
    """Return the columns of a partition: time, error, and those of the bundle's verdicts."""
    verdicts = answer_schema(scorer, form)
    return pa.schema([("time", pa.timestamp("ms", "UTC")), ("error", pa.string()), *verdicts])


def batches(
    source: BinaryIO,
    batch_events: int,
    batch_s: float,
    stop: threading.Event,
    *,
    idle: bool = False,
) -> Iterator[list[bytes]]:
    """Yield lines by number and by time, whichever comes first; with `idle`, none at times too.

    A line longer than 16 MiB becomes an empty one, so that it is answered by an error.
    """
    handle = source.fileno()
    waiting: list[bytes] = []
    rest, too_long = b"", False
    first = 0.0
    ended = False
    while not ended and not stop.is_set():
        left = batch_s if not waiting else max(0.0, first + batch_s - time.monotonic())
        ready, _, _ = select.select([handle], [], [], left)
        if ready:
            data = os.read(handle, _READ_BYTES)
            ended = not data
            *whole, rest = (rest + data).split(b"\n")
            if whole and too_long:
                whole[0], too_long = b"", False
            if len(rest) > MAX_LINE_BYTES:
                rest, too_long = b"", True
            if whole and not waiting:
                first = time.monotonic()
            waiting += whole
        while len(waiting) >= batch_events:
            yield waiting[:batch_events]
            waiting = waiting[batch_events:]
        if waiting and time.monotonic() - first >= batch_s:
            yield waiting
            waiting = []
        elif idle and not waiting:
            yield []
    if rest.strip():
        waiting.append(rest)
    if waiting:
        yield waiting


_Judged = tuple[list[Any], Records, list[int]]


def _challenge(judged: _Judged, settings: PipeSettings) -> None:
    """Let challengers judge what was answered."""
    values, made, _ = judged
    if settings.challengers is not None and values:
        target_fpr = settings.wish.form.target_fpr
        challenge(settings.challengers, values, made, settings.fields, target_fpr)


def _judged(
    lines: Sequence[bytes], scorer: Scorer, settings: PipeSettings, counts: PipeCounts
) -> _Judged:
    """Return the values of lines, what came of them, and which rows are to be answered."""
    values: list[Any] = [loads(line) if line.strip() else None for line in lines]
    made = judge_values(values, scorer, settings.fields, settings.wish)
    counts.lines += len(lines)
    counts.detections += made.detections
    rows = []
    for row, verdict in enumerate(made.verdicts):
        if verdict is None:
            if settings.pass_over and made.errors.get(row) == "no text":
                counts.passed_over += 1
                continue
            counts.errors += 1
            if not settings.only_detections:
                rows.append(row)
        elif verdict["detected"] or not settings.only_detections:
            rows.append(row)
    return values, made, rows


def _rows(judged: _Judged, settings: PipeSettings) -> Iterator[dict[str, Any]]:
    values, made, rows = judged
    now = datetime.now(UTC)
    for row in rows:
        verdict = made.verdicts[row]
        if verdict is None:
            yield {"time": now, "error": made.errors.get(row, "not judged")}
            continue
        told = {"time": now, **verdict}
        if settings.wish.form.with_text:
            value = values[row]
            told["text"] = value if isinstance(value, str) else orjson.dumps(value).decode()
        yield told


def _answers(judged: _Judged, settings: PipeSettings) -> Iterator[bytes]:
    _, made, rows = judged
    for row in rows:
        verdict = made.verdicts[row]
        if settings.index:
            if verdict is None:
                continue
            yield orjson.dumps(bulk_action(made.records[row], settings.index)) + b"\n"
        yield orjson.dumps(made.records[row]) + b"\n"
