"""Imports labeled data into a store, and exports its annotations."""

import json
import logging
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from buckler.dataset import Dataset
from buckler.errors import InputError, OutputError
from buckler.files import atomic_writer
from buckler.labels.annotation import AnnotationBatch, AnnotationColumns, Annotator
from buckler.labels.answer_columns import AnswerColumns, Answers, read_answers
from buckler.labels.store import LabelStore
from buckler.tasks import Task

Rows = npt.NDArray[np.intp]

_LABEL = "buckler:label"
_LOG = logging.getLogger(__name__)


def read_answers_of(events: Dataset, columns: AnswerColumns, confidence: float) -> Answers:
    """Read the answers that stand beside events; the label is that of the events.

    Raises
    ------
    InputError
        If a column is missing, or holds what is no class, probability or confidence.
    """
    table = events.table.append_column(_LABEL, pa.array(events.label_names, pa.string()))
    return read_answers(table, events.task, replace(columns, label=_LABEL), confidence)


def import_labels(
    store: LabelStore,
    events: Dataset,
    annotator: Annotator,
    *,
    confidence: float = 1.0,
    columns: AnswerColumns = AnswerColumns(),  # noqa: B008 - frozen
    keep_texts: bool = True,
) -> tuple[int, int]:
    """Import labeled events as annotations; return (labeled events, new annotations).

    An event of several rows gets the mean of their answers, with a warning where they contradict
    each other.

    Parameters
    ----------
    confidence
        Probability that a label is right, where no column states it.
    columns
        Columns of the events with probabilities, confidence, runners-up and rationales. The label
        is that of the events.
    keep_texts
        Store the texts too, for review and export.

    Raises
    ------
    InputError
        If no event has a label, or a column holds what is no class, probability or confidence.
    """
    answers = read_answers_of(events, columns, confidence)
    rows = answers.rows
    if not len(rows):
        raise InputError("no row has a label; name the label column", field="label_column")
    events = events.take(rows)
    if keep_texts:
        store.add_events(events.ids, events.raw_texts)
    ids = events.ids
    first, event = _number_events(ids)
    given, labels = answers.probabilities[rows], answers.probabilities[rows].argmax(axis=1)
    if n_contradicted := len(np.unique(event[labels != labels[first][event]])):
        message = "%s: %d events have rows of more than one class; the mean of their answers counts"
        _LOG.warning(message, annotator.name, n_contradicted)
    further = AnnotationColumns(
        confidence=_means(answers.confidence[rows, None], event)[:, 0].tolist(),
        rationales=[answers.rationales[row] for row in rows[first]],
        created_s=[int(time.time())] * len(first),
    )
    float32 = _means(given, event).astype(np.float32)
    added = store.add_arrays(events.task, annotator, [ids[row] for row in first], float32, further)
    return len(events), added


def _number_events(ids: list[bytes]) -> tuple[Rows, Rows]:
    """Return the first row of each event, and for each row the number of its event."""
    numbers = dict[bytes, int]()
    event = np.array([numbers.setdefault(one, len(numbers)) for one in ids])
    return np.unique(event, return_index=True)[1], event


def _means(values: npt.NDArray[np.float64], event: Rows) -> npt.NDArray[np.float64]:
    """Return the mean row of each event."""
    sums = np.zeros((event.max() + 1, values.shape[1]))
    np.add.at(sums, event, values)
    return sums / np.bincount(event)[:, None]


def export_annotations(
    store: LabelStore, task: Task, target: Path, leave_out: Collection[str] = ()
) -> int:
    """Write the annotations of a task to ``.parquet`` or ``.jsonl``; return how many.

    Annotators that are withdrawn or left out (by name or ``NAME@VERSION``) are not written.

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
        for batch in store.annotations(task, leave_out=leave_out):
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
            ("runner_up", pa.string()),
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
            [None if j < 0 else names[j] for j in batch.runners_up],
            *(batch.probabilities[:, j] for j in range(len(names))),
            batch.confidence,
            batch.rationales,
            batch.cost_usd,
            batch.created_s,
            [texts[i].decode("utf-8", "replace") if i in texts else None for i in batch.event_ids],
        ],
        schema=_schema(task),
    )
