"""Adds events to the review queue: scored, ranked, grouped, and stored with their texts."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection, func, select, text

from buckler.dataset import Dataset
from buckler.dataset.splits import minhash, near_duplicates_of
from buckler.labels import LabelStore
from buckler.labels.database import IDS_PER_QUERY, rows_with_ids
from buckler.labels.merging import Merge
from buckler.review.acquisition import SAMPLE_SHARE, AcquisitionRanking, rank_events
from buckler.review.facts import facts_of
from buckler.review.review_tables import (
    BATCHES,
    FACTS,
    FAMILIES,
    ITEMS,
    State,
    Stratum,
    migrate_review,
)
from buckler.review.search import extract_words, index_words
from buckler.runtime import Scorer
from buckler.synthesis.two_sample import two_sample_test
from buckler.tasks import Task
from buckler.training.targets import merged_for

_ROWS_A_TRANSACTION = 5000
_MAX_REFERENCE_ROWS = 20_000
_MAX_COMPARED_ITEMS = 10_000  # waiting items of highest score that new events are compared with


@dataclass(frozen=True)
class EnqueueOptions:
    """Choices of what enters the queue.

    Attributes
    ----------
    limit
        Maximal number of ranked events to show; random samples come on top. None: all.
    sample_share
        Share of the detections and of the rest that enters as random samples.
    seed
        Random seed of the samples.
    """

    limit: int | None = None
    sample_share: float = SAMPLE_SHARE
    seed: int = 0


@dataclass(frozen=True)
class EnqueueSummary:
    """Counts of a call of `enqueue_events`.

    Attributes
    ----------
    events, detections
        Size of the data.
    added, duplicates, sampled
        New items: shown, grouped under another, and (among the shown) randomly sampled.
    known
        Events that were in the queue before.
    family_labeled
        Events of families that were labeled as a whole.
    labeled
        Events that a human has labeled already.
    left_out
        Events that score lower than the best `limit`.
    """

    events: int
    detections: int
    added: int
    duplicates: int
    sampled: int
    known: int
    family_labeled: int
    labeled: int
    left_out: int


def enqueue_events(
    store: LabelStore,
    events: Dataset,
    scorer: Scorer,
    *,
    reference: Dataset | None = None,
    options: EnqueueOptions | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EnqueueSummary:
    """Add events to the queue; events that are in it already stay unchanged.

    Near-duplicates of an event that waits for a label are grouped under it.

    Parameters
    ----------
    reference
        Events from when the bundle was made: novel events score higher.
    on_progress
        Called with the number of rows just stored, and the number of all.
    """
    options, task = options or EnqueueOptions(), events.task
    with store.writing() as connection:
        migrate_review(connection)
    events, times = _drop_repeats(events)
    teacher, labeled = _known_annotations(store, events)
    ranking = rank_events(
        events,
        scorer,
        teacher=teacher,
        novelty=None if reference is None else _novelty(events, reference, options.seed),
        sample_share=options.sample_share,
        seed=options.seed,
    )
    family_labeled = _in_labeled_family(store, events)
    shown, skipped = ranking.shown, labeled | family_labeled
    keep = _best(ranking, shown & ~skipped, options.limit)[ranking.duplicate_of] & ~skipped
    n_detections = int(ranking.detections.sum())
    batch_id = _add_batch(store, scorer, task, len(events), n_detections)
    writer = _ItemWriter(store, events, times, ranking, batch_id, keep)
    writer.item_of |= _waiting_duplicates(store, events, ranking)
    # Shown rows first: a near-duplicate names the item that covers it.
    order = np.concatenate([np.flatnonzero(keep & shown), np.flatnonzero(keep & ~shown)])
    for start in range(0, len(order), _ROWS_A_TRANSACTION):
        rows = order[start : start + _ROWS_A_TRANSACTION]
        writer.insert(rows)
        if on_progress is not None:
            on_progress(len(rows), len(order))
    return EnqueueSummary(
        events=len(events),
        detections=n_detections,
        added=writer.added,
        duplicates=writer.duplicates,
        sampled=writer.sampled,
        known=writer.known,
        family_labeled=int(family_labeled.sum()),
        labeled=int((labeled & ~family_labeled).sum()),
        left_out=int((~keep & ~skipped).sum()),
    )


def _drop_repeats(events: Dataset) -> tuple[Dataset, npt.NDArray[np.int64]]:
    """Return each event once, in order, and how often it stands in `events`."""
    ids = np.array([i.hex() for i in events.ids])
    _, first, times = np.unique(ids, return_index=True, return_counts=True)
    order = np.argsort(first)
    return events.take(first[order]), times[order]


def _known_annotations(
    store: LabelStore, events: Dataset
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return each event's merged annotations (NaN without any), and which have a human label."""
    merged, rows = merged_for(events, store, Merge.MEAN)
    known = rows >= 0
    probabilities = np.full((len(events), len(events.task.classes)), np.nan)
    human = np.zeros(len(events), bool)
    probabilities[known] = merged.probabilities[rows[known]]
    human[known] = merged.human[rows[known]]
    return probabilities, human


def _novelty(events: Dataset, reference: Dataset, seed: int) -> npt.NDArray[np.float64]:
    """Return each event's out-of-fold probability to be new, with folds by group."""
    if len(reference) > _MAX_REFERENCE_ROWS:
        rows = np.random.default_rng(seed).permutation(len(reference))[:_MAX_REFERENCE_ROWS]
        reference = reference.take(np.sort(rows))
    return two_sample_test(events, reference, seed).synthetic


def _in_labeled_family(store: LabelStore, events: Dataset) -> npt.NDArray[np.bool_]:
    with store.writing() as connection:
        query = select(FAMILIES.c.group_name).where(
            FAMILIES.c.task_id == store.task_id(connection, events.task),
            FAMILIES.c.revoked_s.is_(None),
        )
        groups = set(connection.scalars(query))
    return np.array([g in groups for g in events.table.column("group").to_pylist()], bool)


def _best(
    ranking: AcquisitionRanking, candidates: npt.NDArray[np.bool_], limit: int | None
) -> npt.NDArray[np.bool_]:
    if limit is None:
        return candidates
    chosen: npt.NDArray[np.bool_] = candidates & (ranking.stratum != Stratum.RANKED)
    rows = np.flatnonzero(candidates & ~chosen)
    chosen[rows[np.argsort(-ranking.acquisition[rows], kind="stable")[:limit]]] = True
    return chosen


def _add_batch(store: LabelStore, scorer: Scorer, task: Task, events: int, detections: int) -> int:
    with store.writing() as connection:
        inserted = connection.execute(
            BATCHES.insert().returning(BATCHES.c.id),
            {
                "task_id": store.task_id(connection, task),
                "bundle": scorer.sha256,
                "threshold": scorer.threshold,
                "events": events,
                "detections": detections,
                "added_s": int(time.time()),
            },
        )
        return int(inserted.scalar_one())


def _waiting_duplicates(
    store: LabelStore, events: Dataset, ranking: AcquisitionRanking
) -> dict[int, int]:
    """Return row -> item for ranked events that are near-duplicates of a waiting item."""
    task = events.task
    with store.writing() as connection:
        waiting = (
            select(ITEMS.c.id, ITEMS.c.event_id)
            .where(
                ITEMS.c.task_id == store.task_id(connection, task),
                ITEMS.c.state == State.OPEN,
                ITEMS.c.stratum == Stratum.RANKED,
            )
            .order_by(ITEMS.c.acquisition.desc(), ITEMS.c.id.desc())
            .limit(_MAX_COMPARED_ITEMS)
        )
        item_of = {bytes(e): int(i) for i, e in connection.execute(waiting)}
    rows = np.flatnonzero(ranking.stratum == Stratum.RANKED)
    if not item_of or not len(rows):
        return {}
    digests, items = [], list[int]()
    ids = list(item_of)
    for start in range(0, len(ids), IDS_PER_QUERY):  # in parts: mails and pages are large
        texts = store.texts(ids[start : start + IDS_PER_QUERY])
        raw = pa.array(list(texts.values()), pa.large_binary())
        digests.append(minhash(task.text_normalizer.normalize_column(raw, task.max_bytes)))
        items += [item_of[event_id] for event_id in texts]
    nearest = near_duplicates_of(minhash(events.texts.take(rows)), np.concatenate(digests))
    return {int(rows[at]): items[near] for at, near in enumerate(nearest.tolist()) if near >= 0}


@dataclass
class _ItemWriter:
    """Writes items in parts, each in a transaction; `item_of` maps rows to the items above them."""

    store: LabelStore
    events: Dataset
    times: npt.NDArray[np.int64]
    ranking: AcquisitionRanking
    batch_id: int
    keep: npt.NDArray[np.bool_]
    item_of: dict[int, int] = field(default_factory=dict)
    added: int = 0
    duplicates: int = 0
    sampled: int = 0
    known: int = 0

    def __post_init__(self) -> None:
        kept = self.ranking.duplicate_of[self.keep]
        self._covers = np.bincount(kept, minlength=len(self.events))

    def insert(self, rows: npt.NDArray[np.intp]) -> None:
        """Insert these rows, except those that are in the queue already."""
        events = self.events.take(rows)
        table, ids, raw = events.table, events.ids, events.raw_texts
        groups, times = table.column("group").to_pylist(), table.column("ts").to_pylist()
        items, words, known_facts, facts = [], [], [], facts_of(events, self.times[rows])
        with self.store.transaction() as connection:
            task = self.events.task
            task_id = self.store.task_id(connection, task)
            self.store.add_events(ids, raw, groups, table.column("source").to_pylist())
            _lock(connection)
            known = _find_known(connection, task_id, ids)
            self._forget_labeled(connection, rows)
            number = int(connection.scalar(select(func.max(ITEMS.c.id))) or 0)
            for at, row in enumerate(rows.tolist()):
                if ids[at] in known:
                    item, state = known[ids[at]]
                    self.known += 1
                    if state == State.OPEN:
                        self.item_of[row] = item
                    continue
                number += 1
                duplicate_of = self._place(row, number)
                items.append(
                    {
                        "id": number,
                        "task_id": task_id,
                        "event_id": ids[at],
                        "batch_id": self.batch_id,
                        "state": int(State.OPEN if duplicate_of is None else State.DUPLICATE),
                        "group_name": groups[at],
                        "ts": times[at],
                        "duplicate_of": duplicate_of,
                        "claimed_until": 0,
                        **self._ranking_columns(row),
                    }
                )
                words.append((number, extract_words(task.readable(raw[at]))))
                if facts[at]:
                    known_facts.append({"item_id": number, "facts": json.dumps(facts[at])})
            if items:
                connection.execute(ITEMS.insert(), items)
                if known_facts:
                    connection.execute(FACTS.insert(), known_facts)
                index_words(connection, words)

    def _place(self, row: int, number: int) -> int | None:
        """Return the open item that this row is grouped under; None if the row is shown."""
        representative = int(self.ranking.duplicate_of[row])
        if representative in self.item_of:
            self.duplicates += 1
            return self.item_of[representative]
        self.item_of[representative] = number  # the first, or the representative has a label
        self.added += 1
        self.sampled += int(self.ranking.stratum[row] != Stratum.RANKED)
        return None

    def _forget_labeled(self, connection: Connection, rows: npt.NDArray[np.intp]) -> None:
        """Group nothing under an item that was labeled meanwhile: its label excludes these rows."""
        above = {int(s): self.item_of.get(int(s)) for s in self.ranking.duplicate_of[rows]}
        items = sorted({item for item in above.values() if item is not None})
        query = select(ITEMS.c.id).where(ITEMS.c.state == State.OPEN)
        still_open = {row.id for row in rows_with_ids(connection, query, ITEMS.c.id, items)}
        for representative, item in above.items():
            if item is not None and item not in still_open:
                del self.item_of[representative]

    def _ranking_columns(self, row: int) -> dict[str, object]:
        ranking = self.ranking
        return {
            "stratum": int(ranking.stratum[row]),
            "acquisition": float(ranking.acquisition[row]),
            "reason": str(ranking.reason[row]),
            "score": float(ranking.scores[row]),
            "predicted_label": int(ranking.labels[row]),
            "detected": int(ranking.detections[row]),
            "covers": max(1, int(self._covers[row])),
        }


def _lock(connection: Connection) -> None:
    """Keep other processes from numbering items meanwhile; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE review_items IN SHARE ROW EXCLUSIVE MODE"))


def _find_known(
    connection: Connection, task_id: int, ids: list[bytes]
) -> dict[bytes, tuple[int, int]]:
    """Return item number and state of those events that are in the queue."""
    query = select(ITEMS).where(ITEMS.c.task_id == task_id)
    return {
        bytes(row.event_id): (row.id, row.state)
        for row in rows_with_ids(connection, query, ITEMS.c.event_id, ids)
    }
