"""Reads labeled or unlabeled data whole, for training and evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from buckler.dataset.derived import derive
from buckler.dataset.grouping import group_of
from buckler.errors import InputError
from buckler.normalize import NormalizedTexts, get_normalizer
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import Chunk, Wanted, find_inputs, get_reader
from buckler.readers.times import UNITS, seconds_of
from buckler.tasks import Task

UNLABELED = -1
_NORMALIZED = "normalized text"
TARGET = "target"  # a column of merged annotations
MADE_FROM = (
    "made from"  # a column of lists: the groups of real events that a synthetic example stems from
)

TIMES = ("ts", "timestamp", "time", "@timestamp", "UtcTime", "TimeCreated")

EVENT_SCHEMA = pa.schema(
    [
        ("id", pa.binary(16)),
        ("text", pa.large_binary()),
        ("label", pa.string()),
        ("group", pa.string()),
        ("ts", pa.int64()),
        ("source", pa.string()),
    ]
)


@dataclass(frozen=True)
class Dataset:
    """Events of one task, in memory.

    Attributes
    ----------
    table
        One row an event, as EVENT_SCHEMA; `ts` is in seconds, null where unknown; `label` is the
        class name of the task, null where unlabeled. Further columns keep their names.
    texts
        The normalized texts, in the same order.
    labels
        int32: class index, or -1.
    """

    table: pa.Table
    texts: NormalizedTexts
    labels: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.intp]) -> "Dataset":
        """Return these rows, in this order."""
        return Dataset(self.table.take(pa.array(rows)), self.texts.take(rows), self.labels[rows])

    def column(self, name: str) -> npt.NDArray[np.object_]:
        """Return a column as Python objects."""
        return np.array(self.table.column(name).to_pylist(), object)

    def targets(self, n_classes: int) -> npt.NDArray[np.float32]:
        """Return float32 [n, classes]: merged annotations where there are any, else the label."""
        targets = np.zeros((len(self), n_classes), np.float32)
        targets[np.arange(len(self)), self.labels] = 1
        if TARGET in self.table.column_names:
            for row, merged in enumerate(self.table.column(TARGET).to_pylist()):
                if merged is not None:
                    targets[row] = merged
        return targets

    def trusted(self, n_classes: int, confidence: float) -> npt.NDArray[np.float32]:
        """Return float32 [n, classes]: so much for the label, the rest spread over the others."""
        targets = np.full((len(self), n_classes), (1 - confidence) / (n_classes - 1), np.float32)
        targets[np.arange(len(self)), self.labels] = confidence
        return targets

    def group_codes(self) -> npt.NDArray[np.int64]:
        """Return a number for each group; events without a group stand alone."""
        groups = self.table.column("group").combine_chunks()
        codes = np.array(pc.fill_null(groups.dictionary_encode().indices, -1), np.int64)
        alone = codes < 0
        codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
        return codes


def read_dataset(
    paths: list[Path],
    task: Task,
    *,
    text_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    keep: tuple[str, ...] = (),
    format_name: str | None = None,
    with_labels: bool = True,
    quarantine: Quarantine | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Dataset:
    """Read all rows of these files or folders.

    Parameters
    ----------
    paths
        Files or folders, in any format that a reader knows.
    task
        Decides the classes, the normalized text and the group.
    text_column, label_column, group_column
        Names of columns where the task's usual ones do not fit.
    keep
        Names of further columns to carry along, for slices.
    format_name
        Read every file as this format, whatever its suffix.
    with_labels
        False: leave all events unlabeled, whatever columns or folders there are.
    quarantine
        Where bad rows go; a label that the task does not know is a bad row.
    on_progress
        Called with the number of bytes read since the last call.

    Raises
    ------
    InputError
        If a file cannot be read at all, or nothing usable was found.
    """
    quarantine = quarantine if quarantine is not None else Quarantine()
    labels = {"label": (label_column,) if label_column else task.label_columns}
    wanted = Wanted(
        text=(text_column,) if text_column else task.text_columns,
        any_bytes=task.text_normalizer.prepare is not None,
        features=task.features or None,
        context=task.context,
        mixed=bool(task.context),
        optional={
            **(labels if with_labels else {}),
            "group": (group_column,) if group_column else task.group_columns,
            "ts": TIMES,
            "source": ("source",),
            **{name: (name,) for name in keep},
        },
    )
    parts = []
    for path in find_inputs(paths, format_name):
        for chunk in get_reader(path, format_name).chunks(path, wanted, quarantine):
            if not with_labels:
                chunk.columns.pop("folder", None)
            if label_column and "label" not in chunk.columns:
                raise InputError(f"{path}: no column named {label_column}")
            parts.append(_events(chunk, path, task, keep, quarantine))
            if on_progress is not None:
                on_progress(chunk.size_bytes)
    total = sum(len(part) for part in parts)
    if total == 0:
        raise InputError(f"{', '.join(map(str, paths))}: no usable row ({quarantine.summary()})")
    return concatenate(parts)


def dataset_to_table(events: Dataset) -> pa.Table:
    """Return a table to store, with the normalized texts as a column."""
    normalized = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(),
        len(events),
        [None, pa.py_buffer(events.texts.offsets), pa.py_buffer(events.texts.data)],
    )
    return events.table.append_column(_NORMALIZED, normalized)


def dataset_from_table(table: pa.Table, task: Task) -> Dataset:
    """Return events from a table of EVENT_SCHEMA; texts are made normalized where it lacks them."""
    if _NORMALIZED in table.column_names:
        texts = get_normalizer("none").normalize_column(table.column(_NORMALIZED), task.max_bytes)
        table = table.drop_columns([_NORMALIZED])
    else:
        texts = task.text_normalizer.normalize_column(table.column("text"), task.max_bytes)
    index = {name: i for i, name in enumerate(task.class_names)}
    labels = [UNLABELED if v is None else index[v] for v in table.column("label").to_pylist()]
    return Dataset(table, texts, np.array(labels, np.int32))


def dataset_from_texts(
    texts: pa.Array | Sequence[bytes],
    task: Task,
    *,
    ids: Sequence[bytes] | None = None,
    labels: Sequence[str | None] | None = None,
    groups: Sequence[str | None] | None = None,
    sources: Sequence[str | None] | None = None,
) -> Dataset:
    """Return events from texts that came by another way than a file; what is not given is null.

    Parameters
    ----------
    ids
        16 bytes each; by default the hash of the text, as for files.
    labels
        Class names.
    """
    column = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.large_binary())
    raw = column.to_pylist()
    n = len(raw)
    known = ids if ids is not None else [id_of_text(text) for text in raw]
    table = pa.table(
        {
            "id": pa.array(known, pa.binary(16)),
            "text": column,
            "label": pa.array(labels if labels is not None else [None] * n, pa.string()),
            "group": pa.array(groups if groups is not None else [None] * n, pa.string()),
            "ts": pa.nulls(n, pa.int64()),
            "source": pa.array(sources if sources is not None else [None] * n, pa.string()),
        },
        schema=EVENT_SCHEMA,
    )
    return dataset_from_table(table, task)


def with_groups(events: Dataset, task: Task) -> Dataset:
    """Return events with the group that the task's rule gives, where they have none."""
    groups = events.table.column("group").to_pylist()
    raw = events.table.column("text").to_pylist()
    found = [
        group if group is not None else group_of(raw[i], events.texts[i], task.group_by)
        for i, group in enumerate(groups)
    ]
    index = events.table.schema.get_field_index("group")
    table = events.table.set_column(index, "group", pa.array(found, pa.string()))
    return Dataset(table, events.texts, events.labels)


def id_of_text(text: bytes) -> bytes:
    """Return the id of an event: 16 bytes, the hash of its text."""
    return blake2b(text, digest_size=16).digest()


def concatenate(parts: list[Dataset]) -> Dataset:
    """Join events of the same task."""
    return Dataset(
        pa.concat_tables([part.table for part in parts], promote_options="default"),
        NormalizedTexts.concatenate([part.texts for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def _events(
    chunk: Chunk, path: Path, task: Task, keep: tuple[str, ...], quarantine: Quarantine
) -> Dataset:
    text, columns, rows = chunk.text, chunk.columns, chunk.rows
    labels = np.full(len(text), UNLABELED, np.int32)
    good = np.ones(len(text), bool)
    if "label" in columns:
        values = columns["label"].to_pylist()
        labels = _class_indices(values, task)
        for index in np.flatnonzero(labels == UNLABELED):
            if values[index] not in (None, ""):
                reason = f"label {str(values[index])[:40]!r} is no class of {task.name}"
                quarantine.add(path, int(rows[index]), reason, text[int(index)].as_py())
                good[index] = False
    elif "folder" in columns:
        labels = _class_indices(columns["folder"].to_pylist(), task)
    texts = task.text_normalizer.normalize_column(text, task.max_bytes)
    derive(columns, keep, path, texts)
    table = _table(text, columns, texts, labels, task)
    events = Dataset(table, texts, labels)
    return events if good.all() else events.take(np.flatnonzero(good))


def _class_indices(values: list[object], task: Task) -> npt.NDArray[np.int32]:
    codes: dict[object, int] = {}
    for value in set(values):
        try:
            codes[value] = task.class_index(str(value))
        except InputError:
            codes[value] = UNLABELED
    return np.array([codes[value] for value in values], np.int32)


def _table(
    text: pa.Array,
    columns: dict[str, pa.Array],
    texts: NormalizedTexts,
    labels: npt.NDArray[np.int32],
    task: Task,
) -> pa.Table:
    raw = text.to_pylist()
    ids = [id_of_text(value) for value in raw]
    names = np.array([*task.class_names, None], object)
    group = columns.get("group")
    if group is None:
        groups = [group_of(raw[i], texts[i], task.group_by) for i in range(len(raw))]
        group = pa.array(groups, pa.string())
    table = pa.table(
        {
            "id": pa.array(ids, pa.binary(16)),
            "text": text,
            "label": pa.array(names[labels], pa.string()),
            "group": group.cast(pa.string()),
            "ts": _timestamps(columns.get("ts"), len(raw)),
            "source": columns["source"].cast(pa.string())
            if "source" in columns
            else pa.nulls(len(raw), pa.string()),
        },
        schema=EVENT_SCHEMA,
    )
    for name, column in columns.items():
        if name not in ("label", "folder", "group", "ts", "source"):
            table = table.append_column(name, column.cast(pa.string()))
    return table


def _timestamps(column: pa.Array | None, n: int) -> pa.Array:
    """Seconds since 1970 from numbers, timestamps, or ISO 8601 text; null where unknown or zero."""
    if column is None:
        return pa.nulls(n, pa.int64())
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pa.array([seconds_of(text) for text in column.to_pylist()], pa.int64())
    if pa.types.is_timestamp(column.type):
        seconds = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    elif pa.types.is_integer(column.type):
        seconds = column.cast(pa.int64())
    elif pa.types.is_floating(column.type):
        seconds = pc.floor(column).cast(pa.int64(), safe=False)
    else:
        return pa.nulls(n, pa.int64())
    for above, unit in UNITS:
        seconds = pc.if_else(pc.greater(seconds, above), pc.divide(seconds, unit), seconds)
    return pc.if_else(pc.equal(seconds, 0), None, seconds)
