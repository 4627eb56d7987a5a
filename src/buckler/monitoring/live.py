"""`monitor_stream`: compares events as they arrive, in windows of a fixed number."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np

from buckler.dataset import Dataset
from buckler.extras import import_extra
from buckler.monitoring.monitor import MonitorSettings, read_events
from buckler.monitoring.windows import MonitorResult, Window, compare_windows, score_events
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import ColumnSpec
from buckler.runtime import Scorer
from buckler.serving.bundles import columns_of_bundle
from buckler.serving.event_values import JsonTexts, read_values
from buckler.tasks import Task

_LINES, _WAIT_S = 2000, 1.0
MAX_WINDOWS = 100  # in a result


@dataclass
class StreamCounts:
    """Numbers of lines, of events scored, and of lines that cannot be read, so far."""

    lines: int = 0
    scored: int = 0
    unreadable: int = 0


def monitor_stream(
    scorer: Scorer,
    lines: BinaryIO,
    reference: Sequence[Path | str],
    settings: MonitorSettings,
    stop: threading.Event,
    *,
    window_events: int = 5000,
    counts: StreamCounts | None = None,
) -> Iterator[MonitorResult]:
    """Compare each window with the reference as it fills up, and the last one if it is large
    enough.

    Parameters
    ----------
    lines
        JSON lines: objects with the usual fields, or strings.
    stop
        Event that ends the stream.
    window_events
        Events of a window.
    counts
        Counters that are kept up to date.

    Yields
    ------
    MonitorResult
        All windows so far, the newest last.
    """
    counts = StreamCounts() if counts is None else counts
    pipe = import_extra("buckler.serving.stream.pipe", "monitoring a stream", "monitor")
    with Quarantine() as quarantine:
        then = read_events(scorer, reference, settings, quarantine)
    before = score_events(scorer, then)
    columns = columns_of_bundle(scorer, (settings.text_column,) if settings.text_column else ())
    windows: list[Window] = []

    def compare(events: Dataset) -> MonitorResult:
        number = int(windows[-1].name.split()[0]) + 1 if windows else 1
        name = f"{number} {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        result = compare_windows(
            before,
            score_events(scorer, events),
            np.full(len(events), name, object),
            deployed_fpr=scorer.manifest.deployed_fpr,
            limits=settings.limits,
        )
        windows.extend(result.windows)
        del windows[:-MAX_WINDOWS]
        lead = f"{counts.scored:,} events as they arrived, against {len(then):,} of the reference."
        return replace(
            result, windows=list(windows), bundle=scorer.manifest.name, lead=lead, skipped=[]
        )

    waiting: list[Dataset] = []
    for some in pipe.batch_lines(lines, _LINES, _WAIT_S, stop):
        events = _read_lines(some, columns, then.task, counts)
        if events is None:
            continue
        waiting.append(events)
        while sum(map(len, waiting)) >= window_events:
            whole = Dataset.concat(waiting)
            rest = np.arange(window_events, len(whole))
            waiting = [whole.take(rest)] if len(rest) else []
            yield compare(whole.take(np.arange(window_events)))
    if waiting and sum(map(len, waiting)) >= settings.limits.min_events:
        yield compare(Dataset.concat(waiting))


def _read_lines(
    lines: list[bytes], columns: ColumnSpec, task: Task, counts: StreamCounts
) -> Dataset | None:
    values = JsonTexts([line for line in lines if line.strip()])
    counts.lines += len(values)
    chunk, _ = read_values(values, columns)
    texts = chunk.events
    counts.scored += len(texts)
    counts.unreadable += len(values) - len(texts)
    if not len(texts):
        return None
    return Dataset.from_texts(texts, task).with_groups()
