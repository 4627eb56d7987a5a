"""Events as they come, in windows of so many: each compared with the reference as it is full."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

import numpy as np

from buckler.dataset import Dataset
from buckler.monitoring.watch import Limits, Watched, Window, watch
from buckler.runtime import Scorer
from buckler.serving.fields import Fields
from buckler.serving.incoming import read_values
from buckler.serving.records import BROKEN, loads
from buckler.serving.stream.pipe import batches
from buckler.tasks import Task

_LINES, _WAIT_S = 2000, 1.0
KEPT = 100  # windows in the report


@dataclass
class Followed:
    """What has come so far."""

    lines: int = 0
    judged: int = 0
    unreadable: int = 0


def follow(
    scorer: Scorer,
    reference: Dataset,
    fields: Fields,
    source: BinaryIO,
    stop: threading.Event,
    *,
    every: int,
    limits: Limits,
    domain: bool,
    counts: Followed,
) -> Iterator[Watched]:
    """Yield all windows so far, whenever one is full, and at the end if what is left is enough.

    Parameters
    ----------
    source
        Lines of JSON: objects with the usual fields, or strings.
    every
        Events of a window.
    counts
        Is kept up to date.
    """
    windows: list[Window] = []
    waiting: list[Dataset] = []
    for lines in batches(source, _LINES, _WAIT_S, stop):
        events = _read(lines, scorer, reference.task, fields, counts)
        if events is None:
            continue
        waiting.append(events)
        while sum(len(part) for part in waiting) >= every:
            whole = Dataset.concat(waiting)
            now, rest = np.arange(every), np.arange(every, len(whole))
            waiting = [whole.take(rest)] if len(rest) else []
            yield _watched(scorer, reference, whole.take(now), limits, domain, windows)
    if waiting and sum(len(part) for part in waiting) >= limits.least:
        yield _watched(scorer, reference, Dataset.concat(waiting), limits, domain, windows)


def _watched(
    scorer: Scorer,
    reference: Dataset,
    events: Dataset,
    limits: Limits,
    domain: bool,
    windows: list[Window],
) -> Watched:
    number = int(windows[-1].name.split()[0]) + 1 if windows else 1
    name = f"{number} {datetime.fromtimestamp(time.time(), UTC):%Y-%m-%d %H:%M:%S}"
    names = np.full(len(events), name, object)
    found = watch(scorer, reference, events, names, limits=limits, domain=domain)
    windows += found.windows
    del windows[:-KEPT]
    return Watched(found.reference, found.reference_detections, list(windows), [])


def _read(
    lines: list[bytes], scorer: Scorer, task: Task, fields: Fields, counts: Followed
) -> Dataset | None:
    values: list[Any] = [loads(line) for line in lines if line.strip()]
    counts.lines += len(values)
    sound = [value for value in values if value is not BROKEN]
    incoming = read_values(sound, scorer, fields)
    counts.judged += len(incoming.text)
    counts.unreadable += len(values) - len(incoming.text)
    if not len(incoming.text):
        return None
    return Dataset.from_texts(incoming.text, task).with_groups()
