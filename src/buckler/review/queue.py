"""The queue of one task: who works at what, what comes next, and looking through it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update

from buckler.labels import LabelStore
from buckler.labels.database import IDS_PER_QUERY
from buckler.review.schema import ITEMS, SKIPS, Lane, State
from buckler.review.words import find_words, has_words
from buckler.tasks import Task

PAGE = 50
_SECOND_SHARE = 0.15  # of what an analyst is given: second annotations, while there are any
_SAMPLE_SHARE = 0.1  # … and events drawn by lot
_WAITING = (State.OPEN, State.SECOND, State.DISPUTED)


@dataclass(frozen=True)
class Item:
    """One item of the queue; see the table `review_items`."""

    id: int
    event_id: bytes
    state: State
    lane: Lane
    value: float
    reason: str
    score: float
    label: int
    detected: bool
    group: str | None
    ts: int | None
    serves: int
    standing_for: int | None
    claimed_by: int | None
    claimed_until: int
    first_by: int | None
    verdict: int | None
    closed_by: int | None

    def held_by_other(self, user_id: int, now: float | None = None) -> bool:
        """Whether another works at it now."""
        until = time.time() if now is None else now
        return self.claimed_by not in (None, user_id) and self.claimed_until > until

    @property
    def blind(self) -> bool:
        """Whether score and annotations stay hidden until it is judged, for honest figures."""
        return self.state == State.SECOND or (self.lane != Lane.VALUE and self.state == State.OPEN)


@dataclass(frozen=True)
class Filter:
    """What to look for.

    Attributes
    ----------
    query
        Words; see `words`.
    state, label, lane
        Only those; None for all (of the state: those that wait for a verdict).
    """

    query: str = ""
    state: State | None = None
    label: int | None = None
    lane: Lane | None = None


@dataclass(frozen=True)
class Page:
    """A page of items, and where the next one begins: value and id, or None."""

    items: list[Item]
    following: tuple[float, int] | None


class Queue:
    """The queue of a task.

    Parameters
    ----------
    claim_s
        How long an item is an analyst's own.
    rng
        Decides what kind of item comes next.
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
            self.task_id = store.task_id(connection, task)

    # --- one item ---------------------------------------------------------------------------------

    def item(self, item_id: int) -> Item | None:
        """Return an item of this task."""
        query = select(ITEMS).where(ITEMS.c.id == item_id, ITEMS.c.task_id == self.task_id)
        with self.store.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else as_item(row)

    def claim_next(self, user_id: int, *, lead: bool = False) -> int | None:
        """Give an analyst the next item, or the one that is theirs already; None if there is none.

        Nobody else gets it until it is judged, let go, or the claim runs out.
        """
        if (own := self.claimed(user_id)) is not None:
            return own
        open_one = ITEMS.c.state == State.OPEN
        kinds: dict[str, ColumnElement[bool]] = {
            "second": and_(ITEMS.c.state == State.SECOND, ITEMS.c.first_by != user_id),
            "detected": and_(open_one, ITEMS.c.lane == Lane.SAMPLE_DETECTION),
            "rest": and_(open_one, ITEMS.c.lane == Lane.SAMPLE_REST),
            "value": and_(open_one, ITEMS.c.lane == Lane.VALUE),
        }
        if lead:
            kinds = {"disputed": ITEMS.c.state == State.DISPUTED, **kinds}
        first = self._drawn_kind(lead)
        for kind in sorted(kinds, key=lambda name: name != first):
            if (found := self._claim(kinds[kind], user_id)) is not None:
                return found
        return None

    def claimed(self, user_id: int) -> int | None:
        """Return the item that an analyst works at."""
        query = select(ITEMS.c.id, ITEMS.c.state, ITEMS.c.claimed_until).where(
            ITEMS.c.task_id == self.task_id, ITEMS.c.claimed_by == user_id
        )
        now = self.clock()
        with self.store.reading() as connection:
            rows = connection.execute(query).all()
        live = [r.id for r in rows if r.state in _WAITING and r.claimed_until > now]
        return live[0] if live else None

    def claim(self, item_id: int, user_id: int) -> bool:
        """Claim a certain item; False if another works at it, or it stands behind another."""
        now = self.clock()
        with self.store.writing() as connection:
            _release_all(connection, user_id, self.task_id)
            done = connection.execute(
                update(ITEMS)
                .where(
                    ITEMS.c.id == item_id,
                    ITEMS.c.task_id == self.task_id,
                    ITEMS.c.state != State.FOLDED,
                    _free(user_id, now),
                )
                .values(claimed_by=user_id, claimed_until=int(now) + self.claim_s)
            )
            return bool(done.rowcount)

    def skip(self, item_id: int, user_id: int) -> None:
        """Let go of an item, and do not offer it to this analyst again."""
        with self.store.writing() as connection:
            row = {"item_id": item_id, "user_id": user_id}
            connection.execute(self.store.insert(SKIPS), row)
            _release_all(connection, user_id, self.task_id)

    def release(self, user_id: int) -> None:
        """Let go of what an analyst works at."""
        with self.store.writing() as connection:
            _release_all(connection, user_id, self.task_id)

    # --- many -------------------------------------------------------------------------------------

    def page(self, wanted: Filter, after: tuple[float, int] | None = None) -> Page:
        """Return a page of items, those of most value first."""
        states = _WAITING if wanted.state is None else (wanted.state,)
        rows: list[Any] = []
        with self.store.reading() as connection:
            if has_words(wanted.query):
                ids = find_words(connection, wanted.query)
                for part in (ids[k : k + IDS_PER_QUERY] for k in range(0, len(ids), IDS_PER_QUERY)):
                    found = connection.execute(select(ITEMS).where(ITEMS.c.id.in_(part)))
                    rows += [row for row in found if self._fits(row, wanted, states, after)]
            else:
                for query in self._along_indexes(wanted, states, after):
                    rows += connection.execute(query)
        rows.sort(key=lambda row: (-row.value, -row.id))
        shown = [as_item(row) for row in rows[:PAGE]]
        more = len(rows) > PAGE
        return Page(shown, (shown[-1].value, shown[-1].id) if more else None)

    def family(self, group: str | None) -> list[int]:
        """Return the items of a group that wait for a verdict."""
        if group is None:
            return []
        query = select(ITEMS.c.id).where(
            ITEMS.c.task_id == self.task_id,
            ITEMS.c.group_name == group,
            ITEMS.c.state.in_((State.OPEN, State.SECOND)),
        )
        with self.store.reading() as connection:
            return [int(i) for i in connection.scalars(query)]

    def counts(self) -> dict[tuple[State, Lane], int]:
        """Return how many items stand where."""
        query = (
            select(ITEMS.c.state, ITEMS.c.lane, func.count())
            .where(ITEMS.c.task_id == self.task_id)
            .group_by(ITEMS.c.state, ITEMS.c.lane)
        )
        with self.store.reading() as connection:
            return {(State(s), Lane(k)): n for s, k, n in connection.execute(query)}

    def folded_behind(self, item_id: int) -> int:
        """Return how many near-duplicates a verdict on this item serves besides."""
        query = select(func.count()).where(ITEMS.c.standing_for == item_id)
        with self.store.reading() as connection:
            return int(connection.scalar(query) or 0)

    # --- queries ----------------------------------------------------------------------------------

    def _along_indexes(
        self, wanted: Filter, states: Sequence[State], after: tuple[float, int] | None
    ) -> Iterator[Select[Any]]:
        """Yield queries each of which reads along an index, and stops after a page."""
        query = select(ITEMS).where(ITEMS.c.task_id == self.task_id)
        if wanted.label is not None:
            query = query.where(ITEMS.c.label == wanted.label)
        if after is not None:
            value, item_id = after
            query = query.where(
                or_(ITEMS.c.value < value, and_(ITEMS.c.value == value, ITEMS.c.id < item_id))
            )
        query = query.order_by(ITEMS.c.value.desc(), ITEMS.c.id.desc()).limit(PAGE + 1)
        for state in states:
            of_state = query.where(ITEMS.c.state == state)
            if wanted.lane is not None:
                yield of_state.where(ITEMS.c.lane == wanted.lane)
            elif wanted.label is not None:
                yield of_state
            else:
                for lane in Lane:
                    yield of_state.where(ITEMS.c.lane == lane)

    def _fits(
        self,
        row: Any,
        wanted: Filter,
        states: Sequence[State],
        after: tuple[float, int] | None,
    ) -> bool:
        """Whether a row that a search has found is asked for."""
        return (
            row.task_id == self.task_id
            and row.state in states
            and wanted.label in (None, row.label)
            and wanted.lane in (None, row.lane)
            and (after is None or (row.value, row.id) < after)
        )

    def _drawn_kind(self, lead: bool) -> str:
        drawn = self._rng.random()
        if drawn < _SECOND_SHARE:
            return "disputed" if lead else "second"
        if drawn < _SECOND_SHARE + _SAMPLE_SHARE:
            return "detected" if self._rng.random() < 0.5 else "rest"
        return "value"

    def _claim(self, kind: ColumnElement[bool], user_id: int) -> int | None:
        now = self.clock()
        skipped = exists().where(SKIPS.c.item_id == ITEMS.c.id, SKIPS.c.user_id == user_id)
        candidate = (
            select(ITEMS.c.id)
            .where(ITEMS.c.task_id == self.task_id, kind, _free(user_id, now), ~skipped)
            .order_by(ITEMS.c.value.desc(), ITEMS.c.id.desc())
            .limit(1)
            .with_for_update(skip_locked=True, of=ITEMS)
        )
        with self.store.writing() as connection:
            _release_all(connection, user_id, self.task_id)
            found = connection.scalar(
                update(ITEMS)
                .where(ITEMS.c.id == candidate.scalar_subquery())
                .values(claimed_by=user_id, claimed_until=int(now) + self.claim_s)
                .returning(ITEMS.c.id)
            )
        return None if found is None else int(found)


def as_item(row: Any) -> Item:
    """Turn a row of the table into an item."""
    return Item(
        row.id,
        bytes(row.event_id),
        State(row.state),
        Lane(row.lane),
        row.value,
        row.reason,
        row.score,
        row.label,
        bool(row.detected),
        row.group_name,
        row.ts,
        row.serves,
        row.standing_for,
        row.claimed_by,
        row.claimed_until,
        row.first_by,
        row.verdict,
        row.closed_by,
    )


def _free(user_id: int, now: float) -> ColumnElement[bool]:
    return or_(
        ITEMS.c.claimed_by.is_(None), ITEMS.c.claimed_by == user_id, ITEMS.c.claimed_until <= now
    )


def _release_all(connection: Any, user_id: int, task_id: int) -> None:
    connection.execute(
        update(ITEMS)
        .where(ITEMS.c.claimed_by == user_id, ITEMS.c.task_id == task_id)
        .values(claimed_by=None, claimed_until=0)
    )
