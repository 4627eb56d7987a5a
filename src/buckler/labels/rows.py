"""Converts annotations between arrays and rows of the table."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Select, select

from buckler.errors import InputError
from buckler.labels.annotation import AnnotationBatch, Annotator
from buckler.labels.database import IDS_PER_QUERY
from buckler.labels.schema import ANNOTATIONS, ANNOTATORS, TASKS
from buckler.tasks import Task


def check_arrays(
    task: Task, event_ids: Sequence[bytes], probabilities: npt.NDArray[np.float32]
) -> None:
    """Raise InputError unless these are sound annotations of the task."""
    n_classes = len(task.classes)
    if probabilities.shape != (len(event_ids), n_classes):
        raise InputError(
            f"probabilities have shape {probabilities.shape}; {len(event_ids)} events of task "
            f"{task.name!r} need ({len(event_ids)}, {n_classes})"
        )
    sound = np.isfinite(probabilities).all(axis=1) & (probabilities >= -1e-6).all(axis=1)
    sound &= np.abs(probabilities.sum(axis=1) - 1) < 1e-3
    if not sound.all():
        row = int(np.flatnonzero(~sound)[0])
        raise InputError(f"annotation {row + 1}: probabilities must be positive and add up to 1")
    if any(len(i) != 16 for i in event_ids):
        raise InputError("an event id has 16 bytes")


Row = tuple[bytes, bytes, int, float, str | None, float, int]


def new_human_labels(
    connection: Connection, task_id: int, annotator_id: int, batch: list[Row]
) -> tuple[list[Row], dict[bytes, int]]:
    """Drop labels of a human that repeat the last one; number the others."""
    latest: dict[bytes, tuple[int, bytes, bool]] = {}
    new = {row[0]: row for row in batch}  # the last label of a batch counts
    ids = list(new)
    for start in range(0, len(ids), IDS_PER_QUERY):
        query = (
            select(
                ANNOTATIONS.c.event_id,
                ANNOTATIONS.c.revision,
                ANNOTATIONS.c.probabilities,
                ANNOTATIONS.c.confidence,
            )
            .where(
                ANNOTATIONS.c.task_id == task_id,
                ANNOTATIONS.c.annotator_id == annotator_id,
                ANNOTATIONS.c.event_id.in_(ids[start : start + IDS_PER_QUERY]),
            )
            .order_by(ANNOTATIONS.c.revision)
        )
        for found in connection.execute(query):
            is_withdrawn = found.confidence == 0
            label = (found.revision, bytes(found.probabilities), is_withdrawn)
            latest[bytes(found.event_id)] = label
    kept, revisions = [], {}
    for event_id, row in new.items():
        revision, before, withdrawn = latest.get(event_id, (-1, b"", False))
        if (before, withdrawn) != (row[1], row[3] == 0):
            kept.append(row)
            revisions[event_id] = revision + 1
    return kept, revisions


def as_batch(rows: Sequence[Any], n_classes: int) -> AnnotationBatch:
    """Turn rows of the table into arrays."""
    flat = np.frombuffer(b"".join(bytes(r.probabilities) for r in rows), "<f4")
    return AnnotationBatch(
        [bytes(r.event_id) for r in rows],
        np.array([r.annotator_id for r in rows], np.int64),
        flat.reshape(-1, n_classes),
        np.array([r.confidence for r in rows], np.float64),
        np.array([r.cost_usd for r in rows], np.float64),
        np.array([r.created_s for r in rows], np.int64),
        [r.rationale for r in rows],
    )


def classes_of(task: Task) -> str:
    """Return the classes of a task as the table of tasks holds them."""
    return json.dumps(task.class_names)


def task_query(task: Task) -> Select[tuple[int]]:
    """Return a query for the id of a task."""
    return select(TASKS.c.id).where(TASKS.c.name == task.name, TASKS.c.classes == classes_of(task))


def annotator_query(annotator: Annotator) -> Select[tuple[int]]:
    """Return a query for the id of an annotator."""
    return select(ANNOTATORS.c.id).where(
        ANNOTATORS.c.name == annotator.name, ANNOTATORS.c.version == annotator.version
    )
