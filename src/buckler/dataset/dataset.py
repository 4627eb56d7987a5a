"""Events of one task with everything known about them, for training and evaluation.

Readers turn files into chunks; `read_dataset` joins these to one dataset. Every later step takes a
dataset and returns another: labels from the label store, targets of a teacher, a split, a
selection.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import feather

from buckler.dataset.event_table import EVENT_SCHEMA, make_event_table
from buckler.errors import InputError, SettingsError
from buckler.files import atomic_writer, reading
from buckler.normalize import FeatureTable, Inputs, NormalizedTexts
from buckler.tasks import Task
from buckler.tasks.task import group_of

UNLABELED = -1
MADE_FROM = "made from"  # lists: the groups of real events that a synthetic example stems from

# Columns of a stored dataset beside those of its table.
_INPUT, _LABEL, _TARGET, _WEIGHT = (
    f"buckler:{name}" for name in ("input", "label", "target", "weight")
)
_CLASSES = b"buckler:classes"

Rows = npt.NDArray[np.intp]
Labels = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Objects = npt.NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Events of one task, in memory; immutable.

    Attributes
    ----------
    task
        Task that the classes, the normalized texts and the groups belong to.
    table
        One row an event: `id`, `text` (as read; absent for rows of features), `group`, `ts`
        (seconds since 1970) and `source`, null where unknown, and the columns that were kept.
    inputs
        Normalized texts or rows of features, in the same order.
    labels
        int32 [n]: class index, or -1 where unlabeled.
    soft_targets
        float32 [n, classes]: class probabilities; None where the labels are the targets.
    row_weights
        float32 [n]: weight of each event in training; None where all count alike.

    Examples
    --------
    >>> from buckler.tasks import get_task
    >>> events = Dataset.from_texts([b"http://a.example/"], get_task("url-threat"))
    >>> events.with_labels(np.array([1], np.int32)).targets.tolist()
    [[0.0, 1.0]]
    """

    task: Task
    table: pa.Table
    inputs: Inputs
    labels: Labels
    soft_targets: Floats | None = None
    row_weights: Floats | None = None

    def __post_init__(self) -> None:
        n, n_classes = len(self.labels), len(self.task.classes)
        lengths = {len(self.table), len(self.inputs), n}
        if self.row_weights is not None:
            lengths.add(len(self.row_weights))
        if lengths != {n}:
            raise SettingsError("events, labels and weights must have the same number of rows")
        if self.soft_targets is not None and self.soft_targets.shape != (n, n_classes):
            raise SettingsError(f"targets must have {n:,} rows and {n_classes} classes")

    def __len__(self) -> int:
        return len(self.labels)

    # --- what is known ------------------------------------------------------------------------

    @cached_property
    def ids(self) -> list[bytes]:
        """Ids of 16 bytes."""
        found: list[bytes] = self.table.column("id").to_pylist()
        return found

    @property
    def raw(self) -> pa.ChunkedArray:
        """Events as a scorer takes them: texts as read, or rows of features."""
        if isinstance(self.inputs, FeatureTable):
            return pa.chunked_array([self.inputs.to_arrow()])
        return self.table.column("text")

    @property
    def raw_texts(self) -> list[bytes]:
        """Events for people and for stores: texts as read, or rows of features as JSON."""
        if isinstance(self.inputs, FeatureTable):
            return self.inputs.to_json()
        return self.raw.to_pylist()  # type: ignore[no-any-return]

    @property
    def texts(self) -> NormalizedTexts:
        """Normalized texts; of rows of features, their bytes."""
        return self.inputs.texts if isinstance(self.inputs, FeatureTable) else self.inputs

    @property
    def features(self) -> FeatureTable:
        """Rows of features.

        Raises
        ------
        SettingsError
            If the events are texts.
        """
        if not isinstance(self.inputs, FeatureTable):
            raise SettingsError(f"the events of task {self.task.name!r} are no rows of features")
        return self.inputs

    @property
    def groups(self) -> Objects:
        """Group of each event, None where it has none."""
        return self.column("group")

    @property
    def sources(self) -> Objects:
        """Source of each event, None where unknown."""
        return self.column("source")

    @property
    def has_sources(self) -> bool:
        """True if the source of any event is known."""
        return bool(self.table.column("source").null_count < len(self))

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """Seconds since 1970, NaN where unknown."""
        return np.array(pc.cast(self.table.column("ts"), pa.float64()), np.float64)

    @property
    def label_names(self) -> Objects:
        """Class name of each event, None where unlabeled."""
        return np.array([*self.task.class_names, None], object)[self.labels]

    @property
    def is_positive(self) -> npt.NDArray[np.bool_]:
        """Flags of the events whose label is a positive class."""
        return np.isin(self.labels, self.task.positive_indices)

    @cached_property
    def targets(self) -> Floats:
        """Class probabilities, float32 [n, classes]: soft targets, else the labels."""
        if self.soft_targets is not None:
            return self.soft_targets
        targets = np.zeros((len(self), len(self.task.classes)), np.float32)
        rows = np.flatnonzero(self.labels >= 0)
        targets[rows, self.labels[rows]] = 1
        targets.flags.writeable = False
        return targets

    @cached_property
    def weights(self) -> Floats:
        """Weight of each event in training, float32 [n]."""
        return np.ones(len(self), np.float32) if self.row_weights is None else self.row_weights

    def raw_text(self, row: int) -> bytes:
        """Return one of the `raw_texts`."""
        if isinstance(self.inputs, FeatureTable):
            return self.inputs.take(np.array([row])).to_json()[0]
        return self.raw[row].as_py()  # type: ignore[no-any-return]

    def column(self, name: str) -> Objects:
        """Return a column of the table as Python objects."""
        return np.fromiter(self.table.column(name).to_pylist(), object, len(self))

    def group_codes(self) -> npt.NDArray[np.int64]:
        """Return a number for each group; events without a group stand alone."""
        return number_groups(self.table.column("group").combine_chunks())

    def source_codes(self) -> tuple[npt.NDArray[np.int64], list[str | None]]:
        """Return a number for the source of each event, and the name that it stands for."""
        column = self.table.column("source").combine_chunks().dictionary_encode("encode")
        return np.array(column.indices, np.int64), column.dictionary.to_pylist()

    # --- other datasets of it -----------------------------------------------------------------

    def take(self, rows: Rows) -> "Dataset":
        """Return these rows, in this order."""
        return Dataset(
            self.task,
            self.table.take(pa.array(rows)),
            self.inputs.take(rows),
            self.labels[rows],
            None if self.soft_targets is None else self.soft_targets[rows],
            None if self.row_weights is None else self.row_weights[rows],
        )

    def only_labeled(self) -> "Dataset":
        """Return the events that have a label."""
        rows = np.flatnonzero(self.labels >= 0)
        return self if len(rows) == len(self) else self.take(rows)

    def distinct(self) -> "Dataset":
        """Return each event once: the first row of each id."""
        first = {event_id: row for row, event_id in reversed(list(enumerate(self.ids)))}
        return self if len(first) == len(self) else self.take(np.array(sorted(first.values())))

    @staticmethod
    def concat(parts: "Sequence[Dataset]") -> "Dataset":
        """Join datasets of one task, in order; a column that one lacks is null there."""
        soft = any(part.soft_targets is not None for part in parts)
        weighted = any(part.row_weights is not None for part in parts)
        return Dataset(
            parts[0].task,
            pa.concat_tables([part.table for part in parts], promote_options="default"),
            _concatenate(parts),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.targets for part in parts]) if soft else None,
            np.concatenate([part.weights for part in parts]) if weighted else None,
        )

    def with_labels(self, labels: Labels) -> "Dataset":
        """Return the events with these class indices, which are the targets too."""
        return replace(self, labels=labels, soft_targets=None)

    def without_labels(self) -> "Dataset":
        """Return the events unlabeled."""
        return self.with_labels(np.full(len(self), UNLABELED, np.int32))

    def with_targets(self, targets: Floats) -> "Dataset":
        """Return the events with these class probabilities to learn; the labels stay."""
        return replace(self, soft_targets=targets)

    def with_weights(self, weights: Floats | float) -> "Dataset":
        """Return the events with these weights, or with one weight for all."""
        return replace(self, row_weights=np.array(np.broadcast_to(weights, len(self)), np.float32))

    def with_raw_texts(self, texts: Sequence[bytes]) -> "Dataset":
        """Return the events with other texts, or with other rows of features as JSON."""
        column = pa.array(texts, pa.large_binary())
        events = self if self.task.features else self.with_column("text", column)
        return replace(events, inputs=self.task.inputs(column))

    def with_column(self, name: str, values: pa.Array | Sequence[object]) -> "Dataset":
        """Return the events with a column added or replaced."""
        table, index = self.table, self.table.schema.get_field_index(name)
        if name in EVENT_SCHEMA.names:
            values = pa.array(values, EVENT_SCHEMA.field(name).type)
        elif not isinstance(values, pa.Array):
            values = pa.array(values)
        if index < 0:
            return replace(self, table=table.append_column(name, values))
        return replace(self, table=table.set_column(index, name, values))

    def with_groups(self, groups: Sequence[str | None] | Objects | None = None) -> "Dataset":
        """Return the events with these groups; by default with those of the task's rule.

        The rule gives a group only to events that have none.
        """
        if groups is None:
            if self.task.group_by == "none":
                return self
            known = zip(self.groups, self.raw_texts, self.texts, strict=True)
            groups = [
                group if group is not None else group_of(raw, text, self.task.group_by)
                for group, raw, text in known
            ]
        return self.with_column("group", pa.array(groups, pa.string()))

    # --- where it comes from ------------------------------------------------------------------

    @staticmethod
    def from_texts(
        texts: pa.Array | Sequence[bytes],
        task: Task,
        *,
        ids: Sequence[bytes] | None = None,
        labels: Sequence[str | None] | None = None,
        groups: Sequence[str | None] | None = None,
        sources: Sequence[str | None] | None = None,
        times: Sequence[int | None] | None = None,
    ) -> "Dataset":
        """Return events from texts in memory.

        Parameters
        ----------
        texts
            Texts as read (rows of features as JSON), or an Arrow column of events.
        ids
            16 bytes each; by default the hash of the event, as for files.
        labels
            Class names; None where unlabeled.
        groups, sources, times
            Group, source and time (seconds since 1970) of each event; null by default.
        """
        column = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.large_binary())
        n, inputs = len(column), task.inputs(column)
        table = make_event_table(
            column,
            inputs,
            ids=ids,
            group=pa.array([None] * n if groups is None else groups, pa.string()),
            ts=pa.array([None] * n if times is None else times, pa.int64()),
            source=pa.array([None] * n if sources is None else sources, pa.string()),
        )
        indices = np.full(n, UNLABELED, np.int32)
        if labels is not None:
            index = {name: i for i, name in enumerate(task.classes)}
            indices = np.array([-1 if v is None else index[v] for v in labels], np.int32)
        return Dataset(task, table, inputs, indices)

    def save(self, path: Path) -> None:
        """Write everything to an Arrow file.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        more = {_INPUT: self.inputs.to_arrow(), _LABEL: pa.array(self.labels)}
        if self.soft_targets is not None:
            flat = pa.array(self.soft_targets.ravel())
            more[_TARGET] = pa.FixedSizeListArray.from_arrays(flat, len(self.task.classes))
        if self.row_weights is not None:
            more[_WEIGHT] = pa.array(self.row_weights)
        table = self.table
        for name, column in more.items():
            table = table.append_column(name, column)
        table = table.replace_schema_metadata({_CLASSES: "\n".join(self.task.classes)})
        with atomic_writer(path) as file:
            feather.write_feather(table, file, compression="lz4")

    @staticmethod
    def load(path: Path, task: Task) -> "Dataset":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file cannot be read, or holds other classes than the task has.
        """
        with reading(path):
            table = feather.read_table(str(path), memory_map=False)
        if (table.schema.metadata or {}).get(_CLASSES) != "\n".join(task.classes).encode():
            message = f"{path}: not a dataset of the classes of task {task.name!r}"
            raise InputError(message, path=path)
        stored = {
            name: table.column(name).combine_chunks()
            for name in (_INPUT, _LABEL, _TARGET, _WEIGHT)
            if name in table.column_names
        }
        targets = stored[_TARGET].flatten() if _TARGET in stored else None
        return Dataset(
            task,
            table.drop_columns(list(stored)).replace_schema_metadata(None),
            _inputs_of(stored[_INPUT], task),
            np.array(stored[_LABEL], np.int32),
            None if targets is None else np.array(targets).reshape(-1, len(task.classes)),
            np.array(stored[_WEIGHT], np.float32) if _WEIGHT in stored else None,
        )


def number_groups(groups: pa.Array) -> npt.NDArray[np.int64]:
    """Return a number for each group; events without a group stand alone."""
    codes = np.array(pc.fill_null(groups.dictionary_encode().indices, -1), np.int64)
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
    return codes


def _concatenate(parts: Sequence[Dataset]) -> Inputs:
    if parts[0].task.features:
        return FeatureTable.concatenate([part.features for part in parts])
    return NormalizedTexts.concatenate([part.texts for part in parts])


def _inputs_of(column: pa.Array, task: Task) -> Inputs:
    if task.features:
        return FeatureTable.from_arrow(task.features, column)
    return NormalizedTexts.from_arrow(column)
