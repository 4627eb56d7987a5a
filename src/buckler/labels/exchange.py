"""Imports labeled data into a store, and exports its annotations."""

import json
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from buckler.dataset import Dataset
from buckler.errors import InputError, OutputError
from buckler.files import atomic_writer
from buckler.labels.annotation import AnnotationBatch, AnnotationColumns, Annotator
from buckler.labels.store import LabelStore
from buckler.tasks import Task


def import_labels(
    store: LabelStore,
    events: Dataset,
    annotator: Annotator,
    *,
    confidence: float = 1.0,
    probability_column: str | None = None,
    keep_texts: bool = True,
) -> tuple[int, int]:
    """Import labeled events as annotations; return (labeled events, new annotations).

    Parameters
    ----------
    confidence
        Probability that a label is right; the rest is spread over the other classes.
    probability_column
        For tasks with two classes: column with the probability of the positive class, instead of
        labels.
    keep_texts
        Store the texts too, for review and export.

    Raises
    ------
    InputError
        If no event has a label, or a probability is none.
    """
    if not 0 < confidence <= 1:
        raise InputError(f"confidence must lie above 0 and at most at 1, not {confidence}")
    if probability_column is not None:
        probabilities = _positive_probabilities(events, probability_column)
    else:
        events = events.only_labeled()
        if not len(events):
            raise InputError("no row has a label; name the label column", field="label_column")
        probabilities = events.smoothed_targets(confidence).astype(np.float64)
    if keep_texts:
        store.add_events(events.ids, events.raw_texts)
    columns = AnnotationColumns(
        confidence=[confidence] * len(events), created_s=[int(time.time())] * len(events)
    )
    float32 = probabilities.astype(np.float32)
    added = store.add_arrays(events.task, annotator, events.ids, float32, columns)
    return len(events), added


def _positive_probabilities(events: Dataset, column: str) -> npt.NDArray[np.float64]:
    task = events.task
    if len(task.classes) != 2 or len(task.positive) != 1:
        raise InputError("a probability column needs a task with two classes, one of them positive")
    if column not in events.table.column_names:
        raise InputError(f"no column named {column}", field=column)
    try:
        values = np.array([float(v) for v in events.column(column)])
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError(f"column {column} must hold probabilities, 0 to 1", field=column)
    positive = task.class_names.index(task.positive[0])
    found = np.empty((len(values), 2))
    found[:, positive], found[:, 1 - positive] = values, 1 - values
    return found


def export_annotations(store: LabelStore, task: Task, target: Path) -> int:
    """Write all annotations of a task to ``.parquet`` or ``.jsonl``; return how many.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    if target.suffix not in (".parquet", ".jsonl"):
        raise OutputError(f"{target}: name it .parquet or .jsonl", path=target)
    count = 0
    with atomic_writer(target) as file:
        writer = None
        annotators = store.annotators()
        for batch in store.annotations(task):
            table = _table(batch, annotators, store.texts(set(batch.event_ids)), task)
            count += table.num_rows
            if target.suffix == ".jsonl":
                for row in table.to_pylist():
                    file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
                continue
            writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is not None:
            writer.close()
        elif target.suffix == ".parquet":
            pq.write_table(_schema(task).empty_table(), file)
    return count


def _schema(task: Task) -> pa.Schema:
    return pa.schema(
        [
            ("event_id", pa.string()),
            ("annotator", pa.string()),
            ("version", pa.string()),
            ("kind", pa.string()),
            ("label", pa.string()),
            *((f"p_{name}", pa.float32()) for name in task.classes),
            ("confidence", pa.float64()),
            ("rationale", pa.string()),
            ("cost_usd", pa.float64()),
            ("created_s", pa.int64()),
            ("text", pa.string()),
        ]
    )


def _table(
    batch: AnnotationBatch, annotators: dict[int, Annotator], texts: dict[bytes, bytes], task: Task
) -> pa.Table:
    sources = [annotators[int(k)] for k in batch.annotators]
    names = task.class_names
    return pa.table(
        [
            [i.hex() for i in batch.event_ids],
            [k.name for k in sources],
            [k.version for k in sources],
            [k.kind for k in sources],
            [names[j] for j in batch.probabilities.argmax(axis=1)],
            *(batch.probabilities[:, j] for j in range(len(names))),
            batch.confidence,
            batch.rationales,
            batch.cost_usd,
            batch.created_s,
            [texts[i].decode("utf-8", "replace") if i in texts else None for i in batch.event_ids],
        ],
        schema=_schema(task),
    )
