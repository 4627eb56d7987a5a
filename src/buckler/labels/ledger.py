"""Cost of calls, unusable answers and findings about events, beside the annotations.

The result of a call is one transaction, so that money and annotations agree after any crash.
"""

import json
import os
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from socket import gethostname
from typing import Any

import sqlalchemy as sa

from buckler.labels.annotation import Annotation, Annotator
from buckler.labels.database import rows_with_ids
from buckler.labels.label_tables import (
    CALLS,
    CLAIMS,
    DRAFTS,
    FLAGS,
    REDACTIONS,
    REJECTS,
    SUBMISSIONS,
    annotator_query,
    task_query,
)
from buckler.labels.store import LabelStore
from buckler.tasks import Task

Row = dict[str, object]
_CLAIM_S = 900  # longer than the longest wait that a server may ask for


@dataclass(frozen=True)
class Call:
    """One paid call.

    Attributes
    ----------
    events, annotations
        Events asked about, and usable answers.
    input_tokens, output_tokens
        Tokens by the count of the server.
    cost_usd
        Cost by the price table; 0 for a local model.
    """

    events: int
    annotations: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


@dataclass(frozen=True)
class CallResult:
    """Everything that one call brings.

    Attributes
    ----------
    annotations
        Usable answers.
    rejects
        Pairs of event id and reason, for answers that say nothing usable.
    drafts
        Order id -> texts written to this order.
    texts
        Event id -> text to keep for review and export.
    flags
        Triples of event id, flag and detail.
    redactions
        Event id -> placeholder -> redacted text.
    call
        Cost; None for a teacher that costs nothing.
    """

    annotations: Sequence[Annotation] = ()
    rejects: Sequence[tuple[bytes, str]] = ()
    drafts: Mapping[bytes, list[str]] = field(default_factory=dict)
    texts: Mapping[bytes, bytes] = field(default_factory=dict)
    flags: Sequence[tuple[bytes, str, str]] = ()
    redactions: Mapping[bytes, dict[str, str]] = field(default_factory=dict)
    call: Call | None = None


@dataclass(frozen=True)
class Submission:
    """A batch that a provider works on.

    Attributes
    ----------
    number
        Number in the store.
    provider_id
        Name at the provider; None where a crash came before it was recorded.
    requests
        Request name -> ids of the events that it asks about.
    created_s
        Time in seconds since 1970.
    """

    number: int
    provider_id: str | None
    requests: dict[str, list[bytes]]
    created_s: int


class Ledger:
    """The records of one task and annotator in a label store."""

    def __init__(self, store: LabelStore, task: Task, annotator: Annotator) -> None:
        self._store, self._task, self._annotator = store, task, annotator
        self._holder = f"{gethostname()} {os.getpid()} {secrets.token_hex(8)}"

    def keep(self, results: Iterable[CallResult], submission: int | None = None) -> None:
        """Store results in one transaction.

        Parameters
        ----------
        submission
            Number of the batch that the results complete, if any.
        """
        results = list(results)
        texts = {i: text for result in results for i, text in result.texts.items()}
        redactions = {i: found for result in results for i, found in result.redactions.items()}
        annotations = [annotation for result in results for annotation in result.annotations]
        drafts: list[Row] = [
            {"order_id": order_id, "content": json.dumps(contents)}
            for result in results
            for order_id, contents in result.drafts.items()
        ]
        with self._store.transaction():
            if submission is not None and not self.close(submission):
                return  # another job has collected it
            self._store.add_events(list(texts), list(texts.values()))
            add_flags(self._store, [flag for result in results for flag in result.flags])
            add_redactions(self._store, redactions)
            if annotations:
                self._store.add(self._task, self._annotator, annotations)
            self.record_rejects(reject for result in results for reject in result.rejects)
            self._insert(self._store.insert(DRAFTS), drafts)
            self._insert(CALLS.insert(), [asdict(r.call) for r in results if r.call is not None])

    def record_rejects(self, rejects: Iterable[tuple[bytes, str]]) -> None:
        """Record (event id, reason) of answers that say nothing usable."""
        self._insert(
            REJECTS.insert(),
            [{"event_id": event_id, "reason": reason[:200]} for event_id, reason in rejects],
        )

    def find_rejected(self, at_least: int) -> set[bytes]:
        """Return the events whose answers were unusable so many times."""
        query = (
            self._select(REJECTS, REJECTS.c.event_id)
            .group_by(REJECTS.c.event_id)
            .having(sa.func.count() >= at_least)
        )
        with self._store.reading() as connection:
            return {bytes(i) for i in connection.scalars(query)}

    def drafts(self) -> dict[bytes, list[str]]:
        """Return the texts that this annotator has written, by order."""
        query = self._select(DRAFTS, DRAFTS.c.order_id, DRAFTS.c.content)
        with self._store.reading() as connection:
            return {bytes(r.order_id): json.loads(r.content) for r in connection.execute(query)}

    def spent(self) -> Call:
        """Return the sum of all calls."""
        names = ("events", "annotations", "input_tokens", "output_tokens", "cost_usd")
        query = self._select(CALLS, *(sa.func.sum(CALLS.c[name]) for name in names))
        with self._store.reading() as connection:
            row = connection.execute(query).one()
        events, annotations, input_tokens, output_tokens = (int(value or 0) for value in row[:4])
        return Call(events, annotations, input_tokens, output_tokens, float(row[4] or 0))

    # --- claims: no two jobs pay for the same event ----------------------------------------------

    def claim(self, ids: Iterable[bytes]) -> set[bytes]:
        """Reserve events for this job; return those that it now holds.

        A claim ends with `release`, 15 minutes later, or with its process where that ran here.
        """
        rows: list[Row] = [{"event_id": i, "holder": self._holder} for i in sorted(set(ids))]
        if not rows:
            return set()
        with self._store.writing() as connection:
            rows = self._complete(connection, rows)
            old = CLAIMS.c.created_s < int(time.time()) - _CLAIM_S
            holders = connection.scalars(sa.select(CLAIMS.c.holder).distinct())
            dead = [holder for holder in holders if _is_dead(holder)]
            connection.execute(CLAIMS.delete().where(old | CLAIMS.c.holder.in_(dead)))
            connection.execute(self._store.insert(CLAIMS).values(rows))
            mine = self._select(CLAIMS, CLAIMS.c.event_id).where(CLAIMS.c.holder == self._holder)
            asked = (row["event_id"] for row in rows)
            found = rows_with_ids(connection, mine, CLAIMS.c.event_id, asked)
            return {bytes(row.event_id) for row in found}

    def claim_unknown(self, ids: Iterable[bytes]) -> set[bytes]:
        """Reserve events, and return those held that have no annotation yet."""
        held = self.claim(ids)
        return held - self._store.find_known(self._task, self._annotator, held)

    def release(self) -> None:
        """Give back all claims of this job."""
        with self._store.writing() as connection:
            connection.execute(CLAIMS.delete().where(CLAIMS.c.holder == self._holder))

    # --- batches that a provider works on --------------------------------------------------------

    def submit(self, requests: Mapping[str, Sequence[bytes]]) -> int:
        """Record a batch that is about to be submitted; return its number."""
        content = {name: [i.hex() for i in ids] for name, ids in requests.items()}
        row: Row = {"content": json.dumps(content), "provider_id": None, "collected": 0}
        with self._store.writing() as connection:
            insert = SUBMISSIONS.insert().returning(SUBMISSIONS.c.id)
            return int(connection.execute(insert, self._complete(connection, [row])).scalar_one())

    def confirm(self, number: int, provider_id: str) -> None:
        """Record the provider's name of a batch."""
        update = SUBMISSIONS.update().where(SUBMISSIONS.c.id == number)
        with self._store.writing() as connection:
            connection.execute(update.values(provider_id=provider_id))

    def close(self, number: int) -> bool:
        """Record that a batch is collected, or never arrived; return False if it was before."""
        update = SUBMISSIONS.update().where(SUBMISSIONS.c.id == number)
        with self._store.writing() as connection:
            still_open = update.where(SUBMISSIONS.c.collected == 0)
            return bool(connection.execute(still_open.values(collected=1)).rowcount)

    def open_submissions(self) -> list[Submission]:
        """Return the batches that are not collected yet, oldest first."""
        query = (
            self._select(SUBMISSIONS, SUBMISSIONS)
            .where(SUBMISSIONS.c.collected == 0)
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

    # --- rows of this task and annotator ---------------------------------------------------------

    def _insert(self, insert: sa.Executable, rows: list[Row]) -> None:
        if rows:
            with self._store.writing() as connection:
                connection.execute(insert, self._complete(connection, rows))

    def _complete(self, connection: sa.Connection, rows: list[Row]) -> list[Row]:
        task_id, annotator_id = self._store.keys(connection, self._task, self._annotator)
        keys = {"task_id": task_id, "annotator_id": annotator_id, "created_s": int(time.time())}
        return [row | keys for row in rows]

    def _select(
        self, table: sa.Table, *columns: sa.ColumnElement[object] | sa.Table
    ) -> sa.Select[Any]:
        return sa.select(*columns).where(
            table.c.task_id == task_query(self._task),
            table.c.annotator_id == annotator_query(self._annotator),
        )


def _is_dead(holder: str) -> bool:
    """Tell whether the process of a claim ran on this machine and runs no longer."""
    host, process, _ = holder.rsplit(" ", 2)
    if host != gethostname():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is another user's
        return False
    return False


# --- findings about events, for all annotators ----------------------------------------------------


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
    query = sa.select(FLAGS.c.flag, FLAGS.c.detail).where(FLAGS.c.event_id == event_id)
    with store.reading() as connection:
        return {row.flag: row.detail for row in connection.execute(query)}


def find_flagged(store: LabelStore, flag: str) -> set[bytes]:
    """Return every event that has this flag."""
    with store.reading() as connection:
        query = sa.select(FLAGS.c.event_id).where(FLAGS.c.flag == flag)
        return {bytes(i) for i in connection.scalars(query)}


def add_redactions(store: LabelStore, redactions: Mapping[bytes, dict[str, str]]) -> None:
    """Keep the originals of an event's placeholders, the only way back."""
    rows = [
        {"event_id": event_id, "placeholder": placeholder, "original": original}
        for event_id, originals in redactions.items()
        for placeholder, original in originals.items()
    ]
    if rows:
        with store.writing() as connection:
            connection.execute(store.insert(REDACTIONS), rows)


def redactions_of(store: LabelStore, ids: Iterable[bytes]) -> dict[bytes, dict[str, str]]:
    """Return the originals of the placeholders of these events."""
    query, found = sa.select(REDACTIONS), dict[bytes, dict[str, str]]()
    with store.reading() as connection:
        for row in rows_with_ids(connection, query, REDACTIONS.c.event_id, ids):
            found.setdefault(bytes(row.event_id), {})[row.placeholder] = row.original
    return found
