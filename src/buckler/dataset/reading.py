"""Reads labeled or unlabeled files whole, into one dataset."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from buckler.dataset.dataset import UNLABELED, Dataset, Labels
from buckler.dataset.event_table import make_event_table
from buckler.dataset.languages import language_of
from buckler.errors import InputError
from buckler.files import path_text
from buckler.isolation import isolate
from buckler.normalize import FeatureTable, NormalizedTexts
from buckler.normalize.feature_table import events_as_bytes
from buckler.readers.batches import Batch, read_batches
from buckler.readers.chunks import as_strings
from buckler.readers.event_fields import TIMES, event_field_names
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import ColumnSpec, find_inputs
from buckler.readers.times import column_seconds
from buckler.tasks import Task

_ANSWER = "answer to a label"  # role of the column in which Prodigy keeps it
_LANGUAGE_BYTES = 8192


class UnknownLabels(StrEnum):
    """Answers to a label that is no class of the task: fail, or set the row aside and count it."""

    FAIL = "fail"
    SET_ASIDE = "set-aside"


@dataclass(frozen=True)
class ColumnNames:
    """Columns of a file to read, where the task's usual names do not fit.

    Attributes
    ----------
    text, label, group, source
        Column of each; None for the names that the task tries.
    keep
        Further columns to carry along, for slices and for auxiliary classifiers.
    unknown_labels
        Answer to a label that is no class of the task.
    label_map
        Label in the files -> class of the task, such as ``{"1": "phishing", "0": "benign"}``.
    event_fields
        Fields that logs have under many names (see `buckler.readers.event_fields`), such as
        ``host``; each is kept as ``event.host``.
    """

    text: str | None = None
    label: str | None = None
    group: str | None = None
    source: str | None = None
    keep: tuple[str, ...] = ()
    unknown_labels: UnknownLabels = UnknownLabels.FAIL
    label_map: Mapping[str, str] = field(default_factory=dict)
    event_fields: tuple[str, ...] = ()


def read_dataset(
    paths: Iterable[Path],
    task: Task,
    columns: ColumnNames = ColumnNames(),
    *,
    format_name: str | None = None,
    labeled: bool = True,
    quarantine: Quarantine | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Dataset:
    """Read all rows of these files or folders.

    Parameters
    ----------
    paths
        Files or folders, in any format that a reader knows.
    task
        Task that decides the classes, the normalized text and the group.
    columns
        Names of columns where the task's usual ones do not fit, and those to keep.
    format_name
        Format of every file, whatever its suffix.
    labeled
        False leaves all events unlabeled, whatever columns or folders there are.
    quarantine
        Place for bad rows.
    on_progress
        Called with the number of bytes read since the last call.

    Raises
    ------
    InputError
        If a file cannot be read at all, has no usable row, or has a label that is no class of the
        task and `columns` does not set such rows aside.
    """
    paths = list(paths)
    for name in columns.label_map.values():
        task.class_index(name)  # an unknown class fails before any file is read
    quarantine = quarantine if quarantine is not None else Quarantine()
    spec, parts = _columns_to_read(task, columns, labeled), []
    files = find_inputs(paths, format_name)
    for batch in read_batches(files, spec, quarantine, format_name=format_name):
        if not labeled:
            batch.chunk.columns.pop("folder", None)
        if columns.label and "label" not in batch.chunk.columns:
            message = f"{batch.paths[0]}: no column named {columns.label}"
            raise InputError(message, path=batch.paths[0], field="label_column")
        parts.append(_from_batch(batch, task, columns, quarantine))
        if on_progress is not None:
            on_progress(batch.chunk.size_bytes)
    if not sum(map(len, parts)):
        names = ", ".join(map(str, paths))
        raise InputError(f"{names}: no usable row ({quarantine.summary()})")
    return Dataset.concat(parts)


def _columns_to_read(task: Task, columns: ColumnNames, labeled: bool) -> ColumnSpec:
    labels = (columns.label,) if columns.label else task.label_columns
    event_names = event_field_names(task.medium) if columns.event_fields else {}
    return ColumnSpec(
        text=(columns.text,) if columns.text else task.text_columns,
        any_bytes=task.text_normalizer.prepare is not None,
        features=task.features,
        context=task.context,
        mixed=bool(task.context),
        medium=task.medium,
        optional={
            **({"label": labels, _ANSWER: ("answer",)} if labeled else {}),
            "group": (columns.group,) if columns.group else task.group_columns,
            "ts": TIMES,
            "source": (columns.source,) if columns.source else task.source_columns,
            **{name: (name, *task.further_columns.get(name, ())) for name in columns.keep},
            **{f"event.{role}": event_names[role] for role in columns.event_fields},
        },
    )


def _from_batch(batch: Batch, task: Task, spec: ColumnNames, quarantine: Quarantine) -> Dataset:
    chunk = batch.chunk
    columns, n = chunk.columns, len(chunk.events)
    refused = _find_refused(columns.pop(_ANSWER, None), quarantine)
    labels, good = np.full(n, UNLABELED, np.int32), np.ones(n, bool)

    def set_aside(index: int, reason: str) -> None:
        sample = events_as_bytes(chunk.events[index : index + 1], task.features)[0]
        path = batch.paths[batch.path_codes[index]]
        quarantine.add(path, int(chunk.rows[index]), reason, sample)
        good[index] = False

    if "label" in columns:
        values = columns["label"].to_pylist()
        labels = _class_indices(values, task, spec.label_map)
        labels[refused] = UNLABELED
        for index in np.setdiff1d(np.flatnonzero(labels == UNLABELED), refused).tolist():
            if values[index] in (None, ""):
                continue
            if spec.unknown_labels is UnknownLabels.FAIL:
                path = batch.paths[batch.path_codes[index]]
                _refuse_label(values, index, task, path, int(chunk.rows[index]))
            set_aside(index, f"label {str(values[index])[:40]!r} is no class of {task.name}")
    elif "folder" in columns:
        labels = _class_indices(columns["folder"].to_pylist(), task, {})
    parts, faults = isolate(
        lambda start, stop: _dataset(batch.slice(start, stop), task, spec.keep, labels[start:stop]),
        n,
    )
    for index, reason in faults.items():
        if good[index]:
            set_aside(index, reason)
    good = np.delete(good, list(faults))
    events = parts[0] if len(parts) == 1 else Dataset.concat(parts)
    return events if good.all() else events.take(np.flatnonzero(good))


def _find_refused(answers: pa.Array | None, quarantine: Quarantine) -> npt.NDArray[np.intp]:
    """Return the rows whose label the annotator of Prodigy rejected or left open."""
    if answers is None:
        return np.empty(0, np.intp)
    is_refused = pc.is_in(as_strings(answers), pa.array(["reject", "ignore"]))
    rows = np.flatnonzero(is_refused.to_numpy(zero_copy_only=False))
    if len(rows):
        quarantine.pass_over("labels rejected or ignored", len(rows))
    return rows


def _dataset(batch: Batch, task: Task, keep: tuple[str, ...], labels: Labels) -> Dataset:
    chunk = batch.chunk
    columns, n = chunk.columns, len(chunk.events)
    inputs = task.inputs(chunk.events)
    texts = inputs.texts if isinstance(inputs, FeatureTable) else inputs
    _derive(columns, keep, batch, texts)
    nothing = pa.nulls(n, pa.string())
    group, source = (_known_names(columns.get(name, nothing)) for name in ("group", "source"))
    seconds = column_seconds(columns["ts"]) if "ts" in columns else pa.nulls(n, pa.int64())
    table = make_event_table(
        chunk.events,
        inputs,
        group=group,
        ts=seconds,
        source=source,
    )
    for name, column in columns.items():
        if name not in ("label", "folder", "group", "ts", "source") or (
            name == "label" and name in keep
        ):
            table = table.append_column(name, as_strings(column))
    events = Dataset(task, table, inputs, labels)
    return events.with_groups() if group.null_count else events


def _known_names(column: pa.Array) -> pa.Array:
    """Return names, null where they are empty: events without a group are not one group."""
    names = as_strings(column)
    return pc.if_else(pc.equal(names, ""), None, names)


def _refuse_label(values: list[object], index: int, task: Task, path: Path, row: int) -> None:
    try:
        task.class_index(str(values[index]))
    except InputError as error:
        found = sorted({str(value)[:40] for value in values if value not in (None, "")})[:8]
        sample = ",".join(f"{label}={_likely_class(label, task)}" for label in found[:2])
        raise InputError(
            f"{path}: row {row}: {error}, map the labels that stand there "
            f"({', '.join(found)}) to classes, such as {sample}, or set unknown_labels to "
            "'set-aside'",
            path=path,
            row=row,
            field="label_map",
        ) from None


def _likely_class(label: str, task: Task) -> str:
    """Return the class that a label may stand for; a word to replace where nothing tells it."""
    from difflib import get_close_matches

    usual = dict(zip(("0", "1"), task.class_names, strict=False))
    close = get_close_matches(label.lower(), task.class_names, 1)
    return usual.get(label) or next(iter(close), "CLASS")


def _class_indices(values: list[object], task: Task, label_map: Mapping[str, str]) -> Labels:
    names, codes = ["" if v is None else str(v) for v in values], dict[str, int]()
    by_lower = {label.lower(): name for label, name in label_map.items()}
    for name in set(names):
        mapped = by_lower.get(name.lower(), by_lower.get(name.lower().removesuffix(".0"), name))
        try:
            codes[name] = task.class_index(mapped)
        except InputError:
            codes[name] = UNLABELED
    return np.array([codes[name] for name in names], np.int32)


def _derive(
    columns: dict[str, pa.Array], keep: tuple[str, ...], batch: Batch, texts: NormalizedTexts
) -> None:
    """Add `file`, `row` and `language` (of the last field) where they are kept and no column has
    them.
    """
    if "row" in keep and "row" not in columns:
        columns["row"] = pa.array(batch.chunk.rows)
    if "file" in keep and "file" not in columns:
        names = pa.array([path_text(path.name) for path in batch.paths], pa.string())
        columns["file"] = names.take(pa.array(batch.path_codes))
    if "language" in keep and "language" not in columns:
        fields = (text.rpartition(b"\x1f")[2][:_LANGUAGE_BYTES] for text in texts)
        found = [language_of(field.decode("utf-8", "replace")) for field in fields]
        columns["language"] = pa.array(found, pa.string())
