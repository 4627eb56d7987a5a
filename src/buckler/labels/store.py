"""The label store: append-only annotations in SQLite or PostgreSQL.

It is also the cache of paid calls and lets an interrupted job resume: an annotation of one
annotator and version for an event is stored once, and looked up before any call.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, func, select

from buckler.errors import InputError
from buckler.labels.annotation import (
    Annotation,
    AnnotationBatch,
    AnnotationColumns,
    Annotator,
    StoredEvent,
)
from buckler.labels.database import Database, rows_with_ids, storable
from buckler.labels.label_tables import (
    ANNOTATIONS,
    ANNOTATORS,
    EVENTS,
    TASKS,
    annotator_query,
    classes_of,
    migrate_labels,
    task_query,
)
from buckler.labels.withdrawal import find_annotators, withdrawn_annotators
from buckler.tasks import Task

BATCH_ROWS = 10_000
_ROWS_A_STATEMENT = 1000
_Row = tuple[bytes, bytes, int, float, str | None, float, int]


class LabelStore(Database):
    """Annotations of events in one database.

    It opens like any `Database`: by a file or a URL.
    """

    def __init__(self, where: str | Path) -> None:
        super().__init__(where)
        self._insert_sql = str(self.insert(ANNOTATIONS).compile(dialect=self._engine.dialect))
        with self.writing() as connection:
            migrate_labels(connection)

    # --- writing ------------------------------------------------------------------------------

    def add(self, task: Task, annotator: Annotator, annotations: Iterable[Annotation]) -> int:
        """Store annotations; return how many were new. See `add_arrays`."""
        added = 0
        iterator = iter(annotations)
        while batch := list(islice(iterator, BATCH_ROWS)):
            if len({len(one.probabilities) for one in batch}) != 1:
                raise InputError(
                    "annotations of one task must have the same number of probabilities"
                )
            added += self.add_arrays(
                task,
                annotator,
                [one.event_id for one in batch],
                np.array([one.probabilities for one in batch], np.float32),
                AnnotationColumns(
                    confidence=[one.confidence for one in batch],
                    rationales=[one.rationale for one in batch],
                    cost_usd=[one.cost_usd for one in batch],
                    created_s=[one.created_s for one in batch],
                ),
            )
        return added

    def add_arrays(
        self,
        task: Task,
        annotator: Annotator,
        event_ids: Sequence[bytes],
        probabilities: npt.NDArray[np.float32],
        columns: AnnotationColumns = AnnotationColumns(),  # noqa: B008 - frozen
    ) -> int:
        """Store many annotations; return how many were new.

        An earlier annotation of the same annotator stays as it is; a person's new label is stored
        beside the old one. Each 10,000 are one transaction: after a crash, whole batches are there
        or not.

        Parameters
        ----------
        event_ids
            16 bytes each.
        probabilities
            float32 [n, classes]; rows add up to 1.
        columns
            Further attributes of the annotations.

        Raises
        ------
        InputError
            If an annotation is not sound, or does not fit the task.
        OutputError
            If the database cannot be written.
        """
        n = len(event_ids)
        probabilities = np.ascontiguousarray(probabilities, "<f4")
        _check_arrays(task, event_ids, probabilities)
        rows: Iterator[_Row] = zip(
            event_ids,
            (row.tobytes() for row in probabilities),
            probabilities.argmax(axis=1).tolist(),
            [1.0] * n if columns.confidence is None else columns.confidence,
            [None] * n
            if columns.rationales is None
            else [text and storable(text) for text in columns.rationales],
            [0.0] * n if columns.cost_usd is None else columns.cost_usd,
            [0] * n if columns.created_s is None else columns.created_s,
            strict=True,
        )
        added = 0
        while batch := list(islice(rows, BATCH_ROWS)):
            with self.writing() as connection:
                keys = self.keys(connection, task, annotator)
                revisions: dict[bytes, int] = {}
                if annotator.kind == "human":
                    batch, revisions = _new_human_labels(connection, *keys, batch)
                full = [(r[0], *keys, revisions.get(r[0], 0), *r[1:]) for r in batch]
                added += self._insert_annotations(connection, full) if full else 0
        return added

    def _insert_annotations(
        self, connection: Connection, rows: Sequence[tuple[object, ...]]
    ) -> int:
        if self.dialect == "sqlite":
            return connection.exec_driver_sql(self._insert_sql, rows).rowcount
        added = 0  # many rows a statement: each statement is a journey to the server
        names = ANNOTATIONS.c.keys()
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            part = [
                dict(zip(names, r, strict=True)) for r in rows[start : start + _ROWS_A_STATEMENT]
            ]
            added += connection.execute(self.insert(ANNOTATIONS).values(part)).rowcount
        return added

    def add_events(
        self,
        ids: Sequence[bytes],
        texts: Sequence[bytes],
        groups: Sequence[str | None] | None = None,
        sources: Sequence[str | None] | None = None,
    ) -> None:
        """Keep the texts of events, for review and export."""
        n = len(ids)
        columns = zip(ids, texts, groups or [None] * n, sources or [None] * n, strict=True)
        rows = [{"id": i, "text": t, "group_name": g, "source": s} for i, t, g, s in columns]
        for start in range(0, len(rows), BATCH_ROWS):
            with self.writing() as connection:
                connection.execute(self.insert(EVENTS), rows[start : start + BATCH_ROWS])

    # --- reading ------------------------------------------------------------------------------

    def find_known(self, task: Task, annotator: Annotator, ids: Iterable[bytes]) -> set[bytes]:
        """Return the events that the annotator has already annotated; they need no call."""
        query = select(ANNOTATIONS.c.event_id).where(
            ANNOTATIONS.c.task_id == task_query(task),
            ANNOTATIONS.c.annotator_id == annotator_query(annotator),
        )
        with self.reading() as connection:
            rows = rows_with_ids(connection, query, ANNOTATIONS.c.event_id, ids)
            return {bytes(row.event_id) for row in rows}

    def probabilities(
        self, task: Task, annotator: Annotator, ids: Iterable[bytes]
    ) -> dict[bytes, tuple[float, ...]]:
        """Return the class probabilities that an annotator gave these events, where it did."""
        query = select(ANNOTATIONS).where(
            ANNOTATIONS.c.task_id == task_query(task),
            ANNOTATIONS.c.annotator_id == annotator_query(annotator),
        )
        with self.reading() as connection:
            return {
                bytes(row.event_id): tuple(np.frombuffer(row.probabilities, "<f4").tolist())
                for row in rows_with_ids(connection, query, ANNOTATIONS.c.event_id, ids)
            }

    def annotators(self) -> dict[int, Annotator]:
        """Return every annotator by its id."""
        with self.reading() as connection:
            rows = connection.execute(select(ANNOTATORS)).all()
        return {row.id: Annotator(row.name, row.version, row.kind) for row in rows}

    def tasks(self) -> list[tuple[str, list[str]]]:
        """Return name and classes of every task with annotations."""
        with self.reading() as connection:
            return [(r.name, json.loads(r.classes)) for r in connection.execute(select(TASKS))]

    def annotations(
        self,
        task: Task,
        event_id: bytes | None = None,
        *,
        leave_out: Collection[str] = (),
        with_withdrawn: bool = False,
    ) -> Iterator[AnnotationBatch]:
        """Yield the annotations of a task (of one event), by event, in constant memory.

        Parameters
        ----------
        leave_out
            Annotators to leave out, by name or ``NAME@VERSION``.
        with_withdrawn
            True to include annotators that were withdrawn.

        Raises
        ------
        InputError
            If an annotator to leave out has no annotation for the task.
        """
        hidden = set(find_annotators(self, task, leave_out)) if leave_out else set()
        if not with_withdrawn:
            hidden |= withdrawn_annotators(self, task).keys()
        query = (
            select(ANNOTATIONS)
            .where(ANNOTATIONS.c.task_id == task_query(task))
            .order_by(ANNOTATIONS.c.event_id, ANNOTATIONS.c.annotator_id, ANNOTATIONS.c.revision)
        )
        if event_id is not None:
            query = query.where(ANNOTATIONS.c.event_id == event_id)
        if hidden:
            query = query.where(ANNOTATIONS.c.annotator_id.not_in(hidden))
        with self.reading() as connection:
            result = connection.execution_options(yield_per=BATCH_ROWS).execute(query)
            for rows in result.partitions(BATCH_ROWS):
                yield AnnotationBatch.from_rows(rows, len(task.classes))

    def texts(self, ids: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return the stored texts of these events."""
        return {event_id: event.text for event_id, event in self.events(ids).items()}

    def events(self, ids: Iterable[bytes]) -> dict[bytes, StoredEvent]:
        """Return those of these events that are kept."""
        with self.reading() as connection:
            return {
                bytes(row.id): StoredEvent(bytes(row.text), row.group_name, row.source)
                for row in rows_with_ids(connection, select(EVENTS), EVENTS.c.id, ids)
            }

    def counts(self) -> list[tuple[str, Annotator, int, float]]:
        """Return (task, annotator, annotations, cost in USD) for each pair that has any."""
        query = (
            select(
                TASKS.c.name,
                ANNOTATORS.c.name,
                ANNOTATORS.c.version,
                ANNOTATORS.c.kind,
                func.count(),
                func.sum(ANNOTATIONS.c.cost_usd),
            )
            .select_from(ANNOTATIONS)
            .join(TASKS, TASKS.c.id == ANNOTATIONS.c.task_id)
            .join(ANNOTATORS, ANNOTATORS.c.id == ANNOTATIONS.c.annotator_id)
            .group_by(TASKS.c.name, ANNOTATORS.c.name, ANNOTATORS.c.version, ANNOTATORS.c.kind)
            .order_by(TASKS.c.name, ANNOTATORS.c.name, ANNOTATORS.c.version)
        )
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return [(r[0], Annotator(r[1], r[2], r[3]), int(r[4]), float(r[5] or 0)) for r in rows]

    def digest(self, task: Task, leave_out: Collection[str] = ()) -> str:
        """Return a hash of the annotations that count: it changes with the first new one."""
        found = sha256()
        for batch in self.annotations(task, leave_out=leave_out):
            found.update(b"".join(batch.event_ids))
            found.update(batch.annotators.tobytes() + batch.probabilities.tobytes())
        return found.hexdigest()

    # --- keys --------------------------------------------------------------------------------

    def keys(self, connection: Connection, task: Task, annotator: Annotator) -> tuple[int, int]:
        """Return the ids of task and annotator, entering them where they are new."""
        return self.task_id(connection, task), self._annotator_id(connection, annotator)

    def task_id(self, connection: Connection, task: Task) -> int:
        """Return the id of a task, entering it where it is new."""
        row = {"name": task.name, "classes": classes_of(task)}
        connection.execute(self.insert(TASKS), row)
        return int(connection.scalar(select(task_query(task))) or 0)

    def _annotator_id(self, connection: Connection, annotator: Annotator) -> int:
        row = {"name": annotator.name, "version": annotator.version, "kind": annotator.kind}
        connection.execute(self.insert(ANNOTATORS), row)
        query = select(ANNOTATORS).where(ANNOTATORS.c.id == annotator_query(annotator))
        stored = connection.execute(query).one()
        if stored.kind != annotator.kind:
            raise InputError(
                f"annotator {annotator.name!r} is already known as kind {stored.kind!r}, "
                f"not {annotator.kind!r}"
            )
        return int(stored.id)


def _check_arrays(
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


def _new_human_labels(
    connection: Connection, task_id: int, annotator_id: int, batch: list[_Row]
) -> tuple[list[_Row], dict[bytes, int]]:
    """Drop labels of a human that repeat the last one; number the others."""
    new = {row[0]: row for row in batch}  # the last label of a batch counts
    query = (
        select(ANNOTATIONS)
        .where(ANNOTATIONS.c.task_id == task_id, ANNOTATIONS.c.annotator_id == annotator_id)
        .order_by(ANNOTATIONS.c.revision)
    )
    latest = {
        bytes(row.event_id): (row.revision, bytes(row.probabilities), row.confidence == 0)
        for row in rows_with_ids(connection, query, ANNOTATIONS.c.event_id, new)
    }
    kept, revisions = [], {}
    for event_id, row in new.items():
        revision, before, withdrawn = latest.get(event_id, (-1, b"", False))
        if (before, withdrawn) != (row[1], row[3] == 0):
            kept.append(row)
            revisions[event_id] = revision + 1
    return kept, revisions


def open_existing(where: str) -> LabelStore:
    """Open a store to read from it; a misspelt file is an error and not a new, empty store.

    Raises
    ------
    InputError
        If there is none.
    """
    if "://" not in where and not Path(where).exists():
        raise InputError(
            f"{where}: no label store there; `buckler labels import` or `review add` makes one"
        )
    return LabelStore(where)
