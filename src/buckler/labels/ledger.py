"""What asking a teacher cost, what came to nothing, and what was noticed: beside the annotations.

Written in the same transaction as the annotations of a call, so that money and annotations agree after
any crash.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import func, select

from buckler.labels.annotation import Annotator
from buckler.labels.database import IDS_PER_QUERY
from buckler.labels.schema import (
    ANNOTATORS,
    CALLS,
    DRAFTS,
    FLAGS,
    REDACTIONS,
    REJECTS,
    SUBMISSIONS,
    TASKS,
)
from buckler.labels.store import LabelStore
from buckler.tasks import Task


@dataclass(frozen=True)
class Call:
    """One paid call.

    Attributes
    ----------
    events, annotations
        How many were asked about, how many usable answers came.
    input_tokens, output_tokens
        As the server counted them.
    cost_usd
        By the price table; 0 for a local model.
    """

    events: int
    annotations: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


@dataclass(frozen=True)
class Submission:
    """A batch that a provider works on.

    Attributes
    ----------
    number
        Ours.
    provider_id
        The provider's; None where a crash came between handing it in and noting its name.
    requests
        Request name -> the ids of the events that it asks about.
    created_s
        When, in seconds since 1970.
    """

    number: int
    provider_id: str | None
    requests: dict[str, list[bytes]]
    created_s: int


class Ledger:
    """The books of one task and annotator in a label store."""

    def __init__(self, store: LabelStore, task: Task, annotator: Annotator) -> None:
        self._store, self._task, self._annotator = store, task, annotator

    def record_calls(self, calls: Iterable[Call]) -> None:
        """Enter what calls cost."""
        now = int(time.time())
        with self._store.writing() as connection:
            task_id, annotator_id = self._store.keys(connection, self._task, self._annotator)
            rows = [
                {**asdict(call), "task_id": task_id, "annotator_id": annotator_id, "created_s": now}
                for call in calls
            ]
            if rows:
                connection.execute(CALLS.insert(), rows)

    def record_rejects(self, rejects: Iterable[tuple[bytes, str]]) -> None:
        """Enter (event id, reason) of answers that say nothing usable."""
        now = int(time.time())
        with self._store.writing() as connection:
            task_id, annotator_id = self._store.keys(connection, self._task, self._annotator)
            rows = [
                {
                    "event_id": event_id,
                    "task_id": task_id,
                    "annotator_id": annotator_id,
                    "reason": reason[:200],
                    "created_s": now,
                }
                for event_id, reason in rejects
            ]
            if rows:
                connection.execute(REJECTS.insert(), rows)

    def rejected(self, at_least: int) -> set[bytes]:
        """Return the events whose answers were unusable so many times."""
        query = (
            select(REJECTS.c.event_id)
            .join(TASKS, TASKS.c.id == REJECTS.c.task_id)
            .join(ANNOTATORS, ANNOTATORS.c.id == REJECTS.c.annotator_id)
            .where(
                TASKS.c.name == self._task.name,
                TASKS.c.classes == json.dumps(self._task.class_names),
                ANNOTATORS.c.name == self._annotator.name,
                ANNOTATORS.c.version == self._annotator.version,
            )
            .group_by(REJECTS.c.event_id)
            .having(func.count() >= at_least)
        )
        with self._store.reading() as connection:
            return {bytes(i) for i in connection.scalars(query)}

    def record_drafts(self, drafts: dict[bytes, list[str]]) -> None:
        """Enter what was written to each order; what stands there already stays."""
        now = int(time.time())
        with self._store.writing() as connection:
            task_id, annotator_id = self._store.keys(connection, self._task, self._annotator)
            rows = [
                {
                    "order_id": order_id,
                    "task_id": task_id,
                    "annotator_id": annotator_id,
                    "content": json.dumps(texts),
                    "created_s": now,
                }
                for order_id, texts in drafts.items()
            ]
            if rows:
                connection.execute(self._store.insert(DRAFTS), rows)

    def drafts(self) -> dict[bytes, list[str]]:
        """Return what this annotator has written to each order."""
        query = (
            select(DRAFTS.c.order_id, DRAFTS.c.content)
            .join(TASKS, TASKS.c.id == DRAFTS.c.task_id)
            .join(ANNOTATORS, ANNOTATORS.c.id == DRAFTS.c.annotator_id)
            .where(
                TASKS.c.name == self._task.name,
                ANNOTATORS.c.name == self._annotator.name,
                ANNOTATORS.c.version == self._annotator.version,
            )
        )
        with self._store.reading() as connection:
            return {
                bytes(row.order_id): json.loads(row.content) for row in connection.execute(query)
            }

    def spent(self) -> Call:
        """Return the sum of all calls."""
        query = (
            select(
                func.sum(CALLS.c.events),
                func.sum(CALLS.c.annotations),
                func.sum(CALLS.c.input_tokens),
                func.sum(CALLS.c.output_tokens),
                func.sum(CALLS.c.cost_usd),
            )
            .join(TASKS, TASKS.c.id == CALLS.c.task_id)
            .join(ANNOTATORS, ANNOTATORS.c.id == CALLS.c.annotator_id)
            .where(
                TASKS.c.name == self._task.name,
                ANNOTATORS.c.name == self._annotator.name,
                ANNOTATORS.c.version == self._annotator.version,
            )
        )
        with self._store.reading() as connection:
            row = connection.execute(query).one()
        events, annotations, read, written = (int(value or 0) for value in row[:4])
        return Call(events, annotations, read, written, float(row[4] or 0))

    # --- batches that a provider works on --------------------------------------------------------

    def submit(self, requests: dict[str, list[bytes]]) -> int:
        """Note that a batch is about to be handed in; return its number."""
        content = {name: [i.hex() for i in ids] for name, ids in requests.items()}
        with self._store.writing() as connection:
            task_id, annotator_id = self._store.keys(connection, self._task, self._annotator)
            result = connection.execute(
                SUBMISSIONS.insert().returning(SUBMISSIONS.c.id),
                {
                    "task_id": task_id,
                    "annotator_id": annotator_id,
                    "content": json.dumps(content),
                    "provider_id": None,
                    "collected": 0,
                    "created_s": int(time.time()),
                },
            )
            return int(result.scalar_one())

    def confirm(self, number: int, provider_id: str) -> None:
        """Note the provider's name of a batch."""
        self._update(number, provider_id=provider_id)

    def close(self, number: int) -> None:
        """Note that a batch is done with: collected, or never arrived at the provider."""
        self._update(number, collected=1)

    def open_submissions(self) -> list[Submission]:
        """Return the batches that are not collected yet, oldest first."""
        query = (
            select(SUBMISSIONS)
            .join(TASKS, TASKS.c.id == SUBMISSIONS.c.task_id)
            .join(ANNOTATORS, ANNOTATORS.c.id == SUBMISSIONS.c.annotator_id)
            .where(
                SUBMISSIONS.c.collected == 0,
                TASKS.c.name == self._task.name,
                ANNOTATORS.c.name == self._annotator.name,
                ANNOTATORS.c.version == self._annotator.version,
            )
            .order_by(SUBMISSIONS.c.id)
        )
        with self._store.reading() as connection:
            rows = connection.execute(query).all()
        return [
            Submission(
                row.id,
                row.provider_id,
                {k: [bytes.fromhex(i) for i in v] for k, v in json.loads(row.content).items()},
                row.created_s,
            )
            for row in rows
        ]

    def _update(self, number: int, **values: object) -> None:
        with self._store.writing() as connection:
            connection.execute(
                SUBMISSIONS.update().where(SUBMISSIONS.c.id == number).values(**values)
            )


# --- of events, whoever judges them --------------------------------------------------------------


def add_flags(store: LabelStore, flags: Sequence[tuple[bytes, str, str]]) -> None:
    """Keep (event id, flag, detail); the first detail of a flag stays."""
    now = int(time.time())
    rows = [
        {"event_id": i, "flag": flag, "detail": detail[:500], "created_s": now}
        for i, flag, detail in flags
    ]
    if rows:
        with store.writing() as connection:
            connection.execute(store.insert(FLAGS), rows)


def flags_of(store: LabelStore, event_id: bytes) -> dict[str, str]:
    """Return the flags of an event with their details."""
    query = select(FLAGS.c.flag, FLAGS.c.detail).where(FLAGS.c.event_id == event_id)
    with store.reading() as connection:
        return {row.flag: row.detail for row in connection.execute(query)}


def flagged(store: LabelStore, flag: str) -> set[bytes]:
    """Return every event that has this flag."""
    with store.reading() as connection:
        query = select(FLAGS.c.event_id).where(FLAGS.c.flag == flag)
        return {bytes(i) for i in connection.scalars(query)}


def add_redactions(store: LabelStore, redactions: Sequence[tuple[bytes, dict[str, str]]]) -> None:
    """Keep what the placeholders of an event stand for: the only way back."""
    rows = [
        {"event_id": event_id, "placeholder": placeholder, "original": original}
        for event_id, found in redactions
        for placeholder, original in found.items()
    ]
    if rows:
        with store.writing() as connection:
            connection.execute(store.insert(REDACTIONS), rows)


def redactions_of(store: LabelStore, ids: Iterable[bytes]) -> dict[bytes, dict[str, str]]:
    """Return what the placeholders of these events stand for."""
    wanted, found = list(ids), dict[bytes, dict[str, str]]()
    with store.reading() as connection:
        for start in range(0, len(wanted), IDS_PER_QUERY):
            query = select(REDACTIONS).where(
                REDACTIONS.c.event_id.in_(wanted[start : start + IDS_PER_QUERY])
            )
            for row in connection.execute(query):
                found.setdefault(bytes(row.event_id), {})[row.placeholder] = row.original
    return found
