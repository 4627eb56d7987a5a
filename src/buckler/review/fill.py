"""Puts events into the queue: judged, valued, folded, and kept with their texts."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection, func, select, text

from buckler.dataset import Dataset
from buckler.dataset.deduplication import minhash, near_duplicates_of
from buckler.labels import LabelStore
from buckler.labels.database import IDS_PER_QUERY
from buckler.labels.merging import Merge
from buckler.review.schema import BATCHES, FAMILIES, ITEMS, Lane, State, migrate_review
from buckler.review.value import Valued, value_events
from buckler.review.words import index_words, words_of
from buckler.runtime import Scorer
from buckler.synthesis.two_sample import two_sample_test
from buckler.tasks import Task
from buckler.training.targets import merged_for

_ROWS = 5000
_REFERENCE_ROWS = 20_000
_MOST_WAITING = 10_000  # items, those worth most, that new events are compared with


@dataclass(frozen=True)
class Filled:
    """What filling the queue did.

    Attributes
    ----------
    events, detections
        Of the data.
    added, folded, drawn
        New items: to be shown, behind another, and (of those shown) drawn by lot.
    known
        Events that were in the queue before.
    ruled_out
        Events of families that were judged as a whole.
    judged
        Events that a human has judged already.
    left_out
        Events worth less than the best `limit`.
    """

    events: int
    detections: int
    added: int
    folded: int
    drawn: int
    known: int
    ruled_out: int
    judged: int
    left_out: int


def fill_queue(
    store: LabelStore,
    events: Dataset,
    scorer: Scorer,
    *,
    reference: Dataset | None = None,
    limit: int | None = None,
    sample_share: float = 0.01,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Filled:
    """Put events into the queue; those that are there already stay as they are.

    What nearly repeats an event that waits for a verdict stands behind it.

    Parameters
    ----------
    reference
        Events of when the bundle was made: what is unlike them is worth more.
    limit
        Show only so many; those drawn by lot count beside it.
    """
    with store.writing() as connection:
        migrate_review(connection)
    events = _each_once(events)
    teacher, human = _said(store, events)
    newness = None
    if reference is not None:
        newness = _newness(events, reference, seed)
    valued = value_events(
        events,
        scorer,
        teacher=teacher,
        newness=newness,
        sample_share=sample_share,
        seed=seed,
    )
    ruled = _ruled_out(store, events)
    shown = valued.standing_for == np.arange(len(events))
    skipped = human | ruled
    chosen = _best(valued, shown & ~skipped, limit)
    keep = chosen[valued.standing_for] & ~skipped
    batch_id = _new_batch(store, scorer, events.task, len(events), int(valued.detections.sum()))
    filling = _Filling(store, events, valued, events.task, batch_id, keep)
    filling.stand_behind(_like_waiting(store, events, valued))
    # Those that are shown first: a folded one names the item that serves it.
    order = np.concatenate([np.flatnonzero(keep & shown), np.flatnonzero(keep & ~shown)])
    for start in range(0, len(order), _ROWS):
        rows = order[start : start + _ROWS]
        filling.insert(rows)
        if on_progress is not None:
            on_progress(len(rows), len(order))
    return Filled(
        len(events),
        int(valued.detections.sum()),
        filling.added,
        filling.folded,
        filling.drawn,
        filling.known,
        int(ruled.sum()),
        int((human & ~ruled).sum()),
        int((~keep & ~skipped).sum()),
    )


def _like_waiting(store: LabelStore, events: Dataset, valued: Valued) -> dict[int, int]:
    """Return row -> item for events that nearly repeat one that waits; not for those by lot."""
    task = events.task
    with store.writing() as connection:
        waiting = (
            select(ITEMS.c.id, ITEMS.c.event_id)
            .where(
                ITEMS.c.task_id == store.task_id(connection, task),
                ITEMS.c.state == State.OPEN,
                ITEMS.c.lane == Lane.VALUE,
            )
            .order_by(ITEMS.c.value.desc(), ITEMS.c.id.desc())
            .limit(_MOST_WAITING)
        )
        item_of = {bytes(e): int(i) for i, e in connection.execute(waiting)}
    rows = np.flatnonzero(valued.lane == Lane.VALUE)
    if not item_of or not len(rows):
        return {}
    digests, items = [], list[int]()
    ids = list(item_of)
    for start in range(0, len(ids), IDS_PER_QUERY):  # a part at a time: mails and pages are large
        texts = store.texts(ids[start : start + IDS_PER_QUERY])
        raw = pa.array(list(texts.values()), pa.large_binary())
        digests.append(minhash(task.text_normalizer.normalize_column(raw, task.max_bytes)))
        items += [item_of[event_id] for event_id in texts]
    found = near_duplicates_of(minhash(events.texts.take(rows)), np.concatenate(digests))
    return {int(rows[at]): items[like] for at, like in enumerate(found.tolist()) if like >= 0}


def _each_once(events: Dataset) -> Dataset:
    ids = np.array([i.hex() for i in events.ids])
    _, first = np.unique(ids, return_index=True)
    return events if len(first) == len(events) else events.take(np.sort(first))


def _said(
    store: LabelStore, events: Dataset
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return what teachers say of each event (NaN where nothing), and where a human has spoken."""
    merged, rows = merged_for(events, store, Merge.MEAN)
    known = rows >= 0
    said = np.full((len(events), len(events.task.classes)), np.nan)
    human = np.zeros(len(events), bool)
    said[known], human[known] = merged.probabilities[rows[known]], merged.human[rows[known]]
    return said, human


def _newness(events: Dataset, reference: Dataset, seed: int) -> npt.NDArray[np.float64] | None:
    """Return for each event how surely it is of now, by a classifier in folds by group."""
    few = reference
    rng = np.random.default_rng(seed)
    if len(few) > _REFERENCE_ROWS:
        few = few.take(np.sort(rng.permutation(len(few))[:_REFERENCE_ROWS]))
    codes = events.group_codes().astype(np.intp)
    found = two_sample_test(events, codes, few, seed).synthetic
    return None if np.isnan(found).any() else found


def _ruled_out(store: LabelStore, events: Dataset) -> npt.NDArray[np.bool_]:
    with store.writing() as connection:
        query = select(FAMILIES.c.group_name).where(
            FAMILIES.c.task_id == store.task_id(connection, events.task),
            FAMILIES.c.revoked_s.is_(None),
        )
        groups = set(connection.scalars(query))
    return np.array([g in groups for g in events.table.column("group").to_pylist()], bool)


def _best(valued: Valued, shown: npt.NDArray[np.bool_], limit: int | None) -> npt.NDArray[np.bool_]:
    drawn = shown & (valued.lane > 0)
    if limit is None:
        return shown
    rows = np.flatnonzero(shown & ~drawn)
    chosen = drawn.copy()
    chosen[rows[np.argsort(-valued.value[rows], kind="stable")[:limit]]] = True
    return chosen


def _new_batch(store: LabelStore, scorer: Scorer, task: Task, events: int, detections: int) -> int:
    with store.writing() as connection:
        made = connection.execute(
            BATCHES.insert().returning(BATCHES.c.id),
            {
                "task_id": store.task_id(connection, task),
                "bundle": scorer.sha256,
                "threshold": scorer.threshold(),
                "events": events,
                "detections": detections,
                "added_s": int(time.time()),
            },
        )
        return int(made.scalar_one())


class _Filling:
    """Writes items in parts, each in a transaction."""

    def __init__(
        self,
        store: LabelStore,
        events: Dataset,
        valued: Valued,
        task: Task,
        batch_id: int,
        keep: npt.NDArray[np.bool_],
    ) -> None:
        self._store, self._events, self._valued, self._task = store, events, valued, task
        self._batch_id = batch_id
        self._serves = np.bincount(valued.standing_for[keep], minlength=len(events))
        self._item_of: dict[int, int] = {}  # row that is shown -> the open item that serves it
        self.added = self.folded = self.drawn = self.known = 0

    def stand_behind(self, item_of: dict[int, int]) -> None:
        """Let these rows be served by items that wait already."""
        self._item_of |= item_of

    def insert(self, rows: npt.NDArray[np.intp]) -> None:
        """Enter these rows, but for those that are in the queue already."""
        table = self._events.table.take(rows)
        ids, raw = table.column("id").to_pylist(), table.column("text").to_pylist()
        groups, times = table.column("group").to_pylist(), table.column("ts").to_pylist()
        items, words = [], []
        with self._store.transaction() as connection:
            task_id = self._store.task_id(connection, self._task)
            self._store.add_events(ids, raw, groups, table.column("source").to_pylist())
            _lock(connection)
            known = _known(connection, task_id, ids)
            self._forget_judged(connection, rows)
            number = int(connection.scalar(select(func.max(ITEMS.c.id))) or 0)
            for at, row in enumerate(rows.tolist()):
                if ids[at] in known:
                    item, state = known[ids[at]]
                    self.known += 1
                    if state == State.OPEN:
                        self._item_of[row] = item
                    continue
                number += 1
                behind = self._behind(row, number)
                items.append(
                    {
                        "id": number,
                        "task_id": task_id,
                        "event_id": ids[at],
                        "batch_id": self._batch_id,
                        "state": int(State.OPEN if behind is None else State.FOLDED),
                        "group_name": groups[at],
                        "ts": times[at],
                        "standing_for": behind,
                        "claimed_until": 0,
                        **self._judged(row),
                    }
                )
                words.append((number, words_of(self._task.readable(raw[at]))))
            if items:
                connection.execute(ITEMS.insert(), items)
                index_words(connection, words)

    def _behind(self, row: int, number: int) -> int | None:
        """Return the open item whose verdict will serve this row; None: it is shown itself."""
        stands_for = int(self._valued.standing_for[row])
        if stands_for in self._item_of:
            self.folded += 1
            return self._item_of[stands_for]
        self._item_of[stands_for] = number  # its like was judged before, or it is the first
        self.added += 1
        self.drawn += int(self._valued.lane[row] > 0)
        return None

    def _forget_judged(self, connection: Connection, rows: npt.NDArray[np.intp]) -> None:
        """Stand behind nothing that was judged meanwhile: its verdict was given without these."""
        serving = {int(s): self._item_of.get(int(s)) for s in self._valued.standing_for[rows]}
        items = sorted({item for item in serving.values() if item is not None})
        still: set[int] = set()
        for start in range(0, len(items), IDS_PER_QUERY):
            query = select(ITEMS.c.id).where(
                ITEMS.c.id.in_(items[start : start + IDS_PER_QUERY]), ITEMS.c.state == State.OPEN
            )
            still.update(int(i) for i in connection.scalars(query))
        for stands_for, item in serving.items():
            if item is not None and item not in still:
                del self._item_of[stands_for]

    def _judged(self, row: int) -> dict[str, object]:
        valued = self._valued
        return {
            "lane": int(valued.lane[row]),
            "value": float(valued.value[row]),
            "reason": str(valued.reason[row]),
            "score": float(valued.score[row]),
            "label": int(valued.labels[row]),
            "detected": int(valued.detections[row]),
            "serves": max(1, int(self._serves[row])),
        }


def _lock(connection: Connection) -> None:
    """Let nobody else number items meanwhile; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE review_items IN SHARE ROW EXCLUSIVE MODE"))


def _known(connection: Connection, task_id: int, ids: list[bytes]) -> dict[bytes, tuple[int, int]]:
    """Return number and state of those of these events that are in the queue."""
    found: dict[bytes, tuple[int, int]] = {}
    for start in range(0, len(ids), IDS_PER_QUERY):
        query = select(ITEMS.c.event_id, ITEMS.c.id, ITEMS.c.state).where(
            ITEMS.c.task_id == task_id, ITEMS.c.event_id.in_(ids[start : start + IDS_PER_QUERY])
        )
        found.update((bytes(e), (int(i), int(s))) for e, i, s in connection.execute(query))
    return found
