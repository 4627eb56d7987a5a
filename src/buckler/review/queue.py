"""The review queue of one task: claims, the next item for an analyst, pages and searches."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    exists,
    func,
    or_,
    select,
    update,
)

from buckler.labels import LabelStore
from buckler.labels.database import rows_with_ids
from buckler.labels.label_tables import TASKS
from buckler.review.review_tables import ITEMS, SKIPS, State, Stratum, migrate_review
from buckler.review.search import find_items, has_words
from buckler.tasks import Task

PAGE_ITEMS = 50
_SECOND_SHARE = 0.15  # share of second annotations among the items given out, if there are any
_SAMPLE_SHARE = 0.1  # share of random samples
_WAITING = (State.OPEN, State.SECOND, State.DISPUTED)


@dataclass(frozen=True)
class Item:
    """One item of the queue; see the table `review_items`."""

    id: int
    event_id: bytes
    state: State
    stratum: Stratum
    acquisition: float
    reason: str
    score: float
    predicted_label: int
    detected: bool
    group: str | None
    ts: int | None
    covers: int
    duplicate_of: int | None
    claimed_by: int | None
    claimed_until: int
    first_by: int | None
    analyst_label: int | None
    closed_by: int | None

    def held_by_other(self, user_id: int, now: float | None = None) -> bool:
        """Return True while another analyst holds the item."""
        until = time.time() if now is None else now
        return self.claimed_by not in (None, user_id) and self.claimed_until > until

    @property
    def blind(self) -> bool:
        """True while score and annotations stay hidden, so that metrics are unbiased."""
        sampled = self.stratum != Stratum.RANKED
        return self.state == State.SECOND or (sampled and self.state == State.OPEN)


@dataclass(frozen=True)
class Filter:
    """Conditions of a list of items.

    Attributes
    ----------
    query
        Words; see `search`.
    state
        One state; None for all items that wait for a label.
    label, stratum
        Predicted class and stratum; None for all.
    detected
        True for detections; None for all.
    """

    query: str = ""
    state: State | None = None
    label: int | None = None
    stratum: Stratum | None = None
    detected: bool | None = None

    @property
    def tells_verdict(self) -> bool:
        """True where a match tells what the bundle says; items that are blind never match."""
        asked = (self.label, self.detected)
        return asked != (None, None) or self.stratum not in (None, Stratum.RANKED)


@dataclass(frozen=True)
class Page:
    """A page of items, and the start of the next one: acquisition score and id, or None."""

    items: list[Item]
    following: tuple[float, int] | None


# `Item.blind` in SQL.
_IS_BLIND = (ITEMS.c.state == State.SECOND) | (
    (ITEMS.c.stratum != Stratum.RANKED) & (ITEMS.c.state == State.OPEN)
)


class Queue:
    """The queue of a task.

    Parameters
    ----------
    claim_s
        Seconds for which an item belongs to the analyst who claimed it.
    rng
        Chooses the kind of the next item.
    """

    def __init__(
        self,
        store: LabelStore,
        task: Task,
        *,
        claim_s: int = 600,
        rng: np.random.Generator | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store, self.task, self.claim_s, self.clock = store, task, claim_s, clock
        self._rng = rng or np.random.default_rng()
        with store.writing() as connection:
            migrate_review(connection)
            self.task_id = store.task_id(connection, task)

    # --- one item ---------------------------------------------------------------------------------

    def item(self, item_id: int) -> Item | None:
        """Return an item of this task."""
        query = select(ITEMS).where(ITEMS.c.id == item_id, ITEMS.c.task_id == self.task_id)
        with self.store.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else to_item(row)

    def claim_next(self, user_id: int, *, lead: bool = False) -> int | None:
        """Give an analyst the next item, or the one that they hold; None if there is none.

        No other analyst gets it until it is labeled, released, or the claim expires.
        """
        if (own := self.find_claim(user_id)) is not None:
            return own
        is_open = ITEMS.c.state == State.OPEN
        kinds: dict[str, ColumnElement[bool]] = {
            "second": and_(ITEMS.c.state == State.SECOND, ITEMS.c.first_by != user_id),
            "detection sample": and_(is_open, ITEMS.c.stratum == Stratum.DETECTION_SAMPLE),
            "rest sample": and_(is_open, ITEMS.c.stratum == Stratum.REST_SAMPLE),
            "ranked": and_(is_open, ITEMS.c.stratum == Stratum.RANKED),
        }
        if lead:
            kinds = {"disputed": ITEMS.c.state == State.DISPUTED, **kinds}
        first = self._choose_kind(lead)
        for kind in sorted(kinds, key=lambda name: name != first):
            if (item_id := self._claim(kinds[kind], user_id)) is not None:
                return item_id
        return None

    def find_claim(self, user_id: int) -> int | None:
        """Return the item that an analyst holds."""
        query = select(ITEMS.c.id, ITEMS.c.state, ITEMS.c.claimed_until).where(
            ITEMS.c.task_id == self.task_id, ITEMS.c.claimed_by == user_id
        )
        now = self.clock()
        with self.store.reading() as connection:
            rows = connection.execute(query).all()
        live = [r.id for r in rows if r.state in _WAITING and r.claimed_until > now]
        return live[0] if live else None

    def claim(self, item_id: int, user_id: int) -> bool:
        """Claim a certain item; return False if another holds it, or it is a near-duplicate."""
        now = self.clock()
        with self.store.writing() as connection:
            _release_all(connection, user_id, self.task_id)
            claimed = connection.execute(
                update(ITEMS)
                .where(
                    ITEMS.c.id == item_id,
                    ITEMS.c.task_id == self.task_id,
                    ITEMS.c.state != State.DUPLICATE,
                    _free(user_id, now),
                )
                .values(claimed_by=user_id, claimed_until=int(now) + self.claim_s)
            )
            return bool(claimed.rowcount)

    def skip(self, item_id: int, user_id: int) -> None:
        """Release an item, and do not offer it to this analyst again."""
        with self.store.writing() as connection:
            row = {"item_id": item_id, "user_id": user_id}
            connection.execute(self.store.insert(SKIPS), row)
            _release_all(connection, user_id, self.task_id)

    def release(self, user_id: int) -> None:
        """Release the item that an analyst holds."""
        with self.store.writing() as connection:
            _release_all(connection, user_id, self.task_id)

    # --- many items -------------------------------------------------------------------------------

    def page(self, conditions: Filter, after: tuple[float, int] | None = None) -> Page:
        """Return a page of items, highest acquisition score first."""
        states = _WAITING if conditions.state is None else (conditions.state,)
        rows: list[Row[tuple[object, ...]]] = []
        with self.store.reading() as connection:
            if has_words(conditions.query):
                ids = find_items(connection, conditions.query)
                matches = rows_with_ids(connection, select(ITEMS), ITEMS.c.id, ids)
                rows += [row for row in matches if self._fits(row, conditions, states, after)]
            else:
                for query in self._along_indexes(conditions, states, after):
                    rows += connection.execute(query)
        rows.sort(key=lambda row: (-row.acquisition, -row.id))
        shown = [to_item(row) for row in rows[:PAGE_ITEMS]]
        more = len(rows) > PAGE_ITEMS
        return Page(shown, (shown[-1].acquisition, shown[-1].id) if more else None)

    def family(self, group: str | None) -> list[int]:
        """Return the items of a group that wait for a label."""
        if group is None:
            return []
        query = select(ITEMS.c.id).where(
            ITEMS.c.task_id == self.task_id,
            ITEMS.c.group_name == group,
            ITEMS.c.state.in_((State.OPEN, State.SECOND)),
        )
        with self.store.reading() as connection:
            return [int(i) for i in connection.scalars(query)]

    def counts(self) -> Counter[State]:
        """Return the number of items by state."""
        query = (
            select(ITEMS.c.state, func.count())
            .where(ITEMS.c.task_id == self.task_id)
            .group_by(ITEMS.c.state)
        )
        with self.store.reading() as connection:
            return Counter({State(state): n for state, n in connection.execute(query)})

    def count_detections(self) -> int:
        """Return the number of detections that wait for a label and are not labeled blind."""
        query = select(func.count()).where(
            ITEMS.c.task_id == self.task_id,
            ITEMS.c.state.in_(_WAITING),
            ITEMS.c.detected == 1,
            ~_IS_BLIND,
        )
        with self.store.reading() as connection:
            return int(connection.scalar(query) or 0)

    # --- queries ----------------------------------------------------------------------------------

    def _along_indexes(
        self, conditions: Filter, states: Sequence[State], after: tuple[float, int] | None
    ) -> Iterator[Select[tuple[object, ...]]]:
        """Yield queries each of which reads along an index, and stops after a page."""
        score, number = ITEMS.c.acquisition, ITEMS.c.id
        query = select(ITEMS).where(ITEMS.c.task_id == self.task_id)
        if conditions.label is not None:
            query = query.where(ITEMS.c.predicted_label == conditions.label)
        if conditions.detected is not None:
            query = query.where(ITEMS.c.detected == int(conditions.detected))
        if after is not None:
            query = query.where(or_(score < after[0], and_(score == after[0], number < after[1])))
        query = query.order_by(score.desc(), number.desc()).limit(PAGE_ITEMS + 1)
        for state in states:
            of_state = query.where(ITEMS.c.state == state)
            if conditions.tells_verdict:
                of_state = of_state.where(~_IS_BLIND)
            if conditions.stratum is not None:
                yield of_state.where(ITEMS.c.stratum == conditions.stratum)
            elif conditions.label is not None or conditions.detected is not None:
                yield of_state
            else:
                for stratum in Stratum:
                    yield of_state.where(ITEMS.c.stratum == stratum)

    def _fits(
        self,
        row: Row[tuple[object, ...]],
        conditions: Filter,
        states: Sequence[State],
        after: tuple[float, int] | None,
    ) -> bool:
        """Return True if a row that a search has found meets the other conditions."""
        return (
            row.task_id == self.task_id
            and row.state in states
            and conditions.label in (None, row.predicted_label)
            and conditions.stratum in (None, row.stratum)
            and conditions.detected in (None, bool(row.detected))
            and not (conditions.tells_verdict and to_item(row).blind)
            and (after is None or (row.acquisition, row.id) < after)
        )

    def _choose_kind(self, lead: bool) -> str:
        draw = self._rng.random()
        if draw < _SECOND_SHARE:
            return "disputed" if lead else "second"
        if draw < _SECOND_SHARE + _SAMPLE_SHARE:
            return "detection sample" if self._rng.random() < 0.5 else "rest sample"
        return "ranked"

    def _claim(self, kind: ColumnElement[bool], user_id: int) -> int | None:
        now = self.clock()
        skipped = exists().where(SKIPS.c.item_id == ITEMS.c.id, SKIPS.c.user_id == user_id)
        candidate = (
            select(ITEMS.c.id)
            .where(ITEMS.c.task_id == self.task_id, kind, _free(user_id, now), ~skipped)
            .order_by(ITEMS.c.acquisition.desc(), ITEMS.c.id.desc())
            .limit(1)
            .with_for_update(skip_locked=True, of=ITEMS)
        )
        with self.store.writing() as connection:
            _release_all(connection, user_id, self.task_id)
            item_id = connection.scalar(
                update(ITEMS)
                .where(ITEMS.c.id == candidate.scalar_subquery())
                .values(claimed_by=user_id, claimed_until=int(now) + self.claim_s)
                .returning(ITEMS.c.id)
            )
        return None if item_id is None else int(item_id)


def random_sample_events(store: LabelStore, task: Task) -> set[bytes]:
    """Return the events of the random samples, labeled or not."""
    query = select(ITEMS.c.event_id).select_from(_ITEMS_OF_TASK).where(_in_random_sample(task))
    with store.writing() as connection:
        migrate_review(connection)
        return {bytes(event_id) for event_id in connection.scalars(query)}


def random_sample_labels(store: LabelStore, task: Task) -> dict[bytes, int]:
    """Return event -> class index for sampled events with an undisputed label."""
    labeled = ITEMS.c.state.in_((State.DONE, State.SECOND)) & ITEMS.c.analyst_label.is_not(None)
    query = select(ITEMS.c.event_id, ITEMS.c.analyst_label).select_from(_ITEMS_OF_TASK)
    with store.writing() as connection:
        migrate_review(connection)
        rows = connection.execute(query.where(_in_random_sample(task), labeled))
        return {bytes(event_id): int(label) for event_id, label in rows}


def to_item(row: Row[tuple[object, ...]]) -> Item:
    """Turn a row of the table into an item."""
    return Item(
        id=row.id,
        event_id=bytes(row.event_id),
        state=State(row.state),
        stratum=Stratum(row.stratum),
        acquisition=row.acquisition,
        reason=row.reason,
        score=row.score,
        predicted_label=row.predicted_label,
        detected=bool(row.detected),
        group=row.group_name,
        ts=row.ts,
        covers=row.covers,
        duplicate_of=row.duplicate_of,
        claimed_by=row.claimed_by,
        claimed_until=row.claimed_until,
        first_by=row.first_by,
        analyst_label=row.analyst_label,
        closed_by=row.closed_by,
    )


_ITEMS_OF_TASK = ITEMS.join(TASKS, TASKS.c.id == ITEMS.c.task_id)


def _in_random_sample(task: Task) -> ColumnElement[bool]:
    return (TASKS.c.name == task.name) & (ITEMS.c.stratum != Stratum.RANKED)


def _free(user_id: int, now: float) -> ColumnElement[bool]:
    return or_(
        ITEMS.c.claimed_by.is_(None), ITEMS.c.claimed_by == user_id, ITEMS.c.claimed_until <= now
    )


def _release_all(connection: Connection, user_id: int, task_id: int) -> None:
    connection.execute(
        update(ITEMS)
        .where(ITEMS.c.claimed_by == user_id, ITEMS.c.task_id == task_id)
        .values(claimed_by=None, claimed_until=0)
    )
