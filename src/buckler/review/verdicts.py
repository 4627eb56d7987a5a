"""An analyst's verdict: an annotation in the label store, and a note of what was seen; never lost."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, select, update

from buckler.errors import BucklerError
from buckler.labels import Annotator
from buckler.review.queue import Item, Queue, as_item
from buckler.review.schema import FAMILIES, ITEMS, USERS, VERDICTS, Lane, State

# A verdict that an analyst gave on a like event, and not on this one.
NEAR, FAMILY = "near-duplicate", "family"
SPREAD_CONFIDENCE = 0.5
MAX_NOTE = 2000
UNDO_S = 3600
_MOST_FAMILIES = 500


class ConflictError(BucklerError):
    """Somebody else was faster, or the claim ran out; nothing was stored."""


@dataclass(frozen=True)
class Done:
    """What a verdict did.

    Attributes
    ----------
    verdict_id
        Ours.
    served
        Events that it served, its own among them.
    state
        Where the item stands now.
    """

    verdict_id: int
    served: int
    state: State


@dataclass(frozen=True)
class Family:
    """A ruling on a whole group."""

    id: int
    group: str
    label: int
    by: str
    at_s: int
    served: int


class Verdicts:
    """Judging and undoing in one queue.

    Parameters
    ----------
    second_share
        Of first verdicts: another analyst judges such an event too.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        second_share: float = 0.1,
        rng: np.random.Generator | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.queue, self.store, self.clock = queue, queue.store, clock
        self._second_share, self._rng = second_share, rng or np.random.default_rng()

    def judge(
        self,
        item_id: int,
        user: tuple[int, str],
        label: int,
        *,
        note: str = "",
        seconds: float = 0.0,
        seen: dict[str, Any] | None = None,
        family: bool = False,
        lead: bool = False,
    ) -> Done:
        """Store a verdict on an item that this analyst has claimed.

        Parameters
        ----------
        user
            Number and name.
        family
            Judge all of the item's group like it: those that wait, and those that come.
        lead
            Decide a dispute.

        Raises
        ------
        ConflictError
            If the item is not this analyst's; nothing was stored.
        """
        user_id, name = user
        with self.store.transaction() as connection:
            item = self._held(connection, item_id, user_id)
            if item.state == State.DISPUTED and not lead:
                raise ConflictError("two analysts disagree on this event: a lead decides")
            state = self._following(item, user_id, label)
            group = item.group if family else None
            before = {"state": int(item.state), "verdict": item.verdict}
            before |= {"closed_by": item.closed_by, "first_by": item.first_by}
            row = {
                "task_id": self.queue.task_id,
                "item_id": item.id,
                "user_id": user_id,
                "label": label,
                "note": note[:MAX_NOTE],
                "family": group,
                "serves": 1,
                "seconds": min(max(seconds, 0.0), 3600.0),
                "seen": json.dumps(seen or {}),
                "before": json.dumps(before),
                "created_s": int(self.clock()),
            }
            statement = VERDICTS.insert().returning(VERDICTS.c.id)
            verdict_id = int(connection.execute(statement, row).scalar_one())
            first = user_id if item.first_by is None else item.first_by
            connection.execute(
                update(ITEMS)
                .where(ITEMS.c.id == item.id)
                .values(
                    state=int(state),
                    verdict=label,
                    closed_by=verdict_id,
                    first_by=first,
                    claimed_by=None,
                    claimed_until=0,
                )
            )
            self._say(name, "", [item.event_id], label, note)
            near = _event_ids(connection, ITEMS.c.standing_for == item.id)
            self._say(name, NEAR, near, label, f"like {item.event_id.hex()}", SPREAD_CONFIDENCE)
            served = 1 + len(near)
            if group is not None:
                served += self._judge_family(connection, item, group, name, label, verdict_id)
            connection.execute(
                update(VERDICTS).where(VERDICTS.c.id == verdict_id).values(serves=served)
            )
        return Done(verdict_id, served, state)

    def undo(self, user: tuple[int, str]) -> int | None:
        """Take back this analyst's last verdict of the past hour; return its item, claimed again.

        The annotations stay, with others behind them that withdraw them.

        Raises
        ------
        ConflictError
            If another has judged the event since.
        """
        user_id, name = user
        now = int(self.clock())
        latest = (
            select(VERDICTS)
            .where(
                VERDICTS.c.task_id == self.queue.task_id,
                VERDICTS.c.user_id == user_id,
                VERDICTS.c.undone_s.is_(None),
                VERDICTS.c.created_s > now - UNDO_S,
            )
            .order_by(VERDICTS.c.id.desc())
            .limit(1)
        )
        with self.store.reading() as connection:
            row = connection.execute(latest).one_or_none()
        if row is None:
            return None
        with self.store.transaction() as connection:
            marked = connection.execute(
                update(VERDICTS)
                .where(VERDICTS.c.id == row.id, VERDICTS.c.undone_s.is_(None))
                .values(undone_s=now)
            )
            if not marked.rowcount:
                raise ConflictError("that verdict was taken back already")
            before = json.loads(row.before)
            own = connection.execute(
                update(ITEMS)
                .where(ITEMS.c.id == row.item_id, ITEMS.c.closed_by == row.id)
                .values(**before, claimed_by=user_id, claimed_until=now + self.queue.claim_s)
            )
            if not own.rowcount:
                raise ConflictError("a colleague has judged that event since")
            for version, where in (("", ITEMS.c.id), (NEAR, ITEMS.c.standing_for)):
                ids = _event_ids(connection, where == row.item_id)
                self._say(name, version, ids, None, "withdrawn", 0.0)
            self._withdraw_family(connection, row.id, row.item_id, name, "withdrawn")
        return int(row.item_id)

    def families(self) -> list[Family]:
        """Return the rulings on whole groups that stand, newest first."""
        query = (
            select(FAMILIES, VERDICTS.c.serves, VERDICTS.c.created_s, USERS.c.name)
            .join(VERDICTS, VERDICTS.c.id == FAMILIES.c.verdict_id)
            .join(USERS, USERS.c.id == VERDICTS.c.user_id)
            .where(FAMILIES.c.task_id == self.queue.task_id, FAMILIES.c.revoked_s.is_(None))
            .order_by(FAMILIES.c.id.desc())
            .limit(_MOST_FAMILIES)
        )
        with self.store.reading() as connection:
            rows = connection.execute(query).all()
        return [Family(r.id, r.group_name, r.label, r.name, r.created_s, r.serves) for r in rows]

    def revoke(self, family_id: int, by: str) -> str | None:
        """Take back a ruling on a group, not the verdict on the event it came from.

        Returns
        -------
        str or None
            The group; None where no such ruling stands.
        """
        query = (
            select(FAMILIES.c.group_name, FAMILIES.c.verdict_id, VERDICTS.c.item_id, USERS.c.name)
            .join(VERDICTS, VERDICTS.c.id == FAMILIES.c.verdict_id)
            .join(USERS, USERS.c.id == VERDICTS.c.user_id)
            .where(
                FAMILIES.c.id == family_id,
                FAMILIES.c.task_id == self.queue.task_id,
                FAMILIES.c.revoked_s.is_(None),
            )
        )
        with self.store.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        with self.store.transaction() as connection:
            why = f"withdrawn by {by}"
            self._withdraw_family(connection, row.verdict_id, row.item_id, row.name, why)
        return str(row.group_name)

    # --- parts ------------------------------------------------------------------------------------

    def _held(self, connection: Connection, item_id: int, user_id: int) -> Item:
        """Lock an item that is this analyst's, and read it."""
        mine = (ITEMS.c.id == item_id, ITEMS.c.claimed_by == user_id)
        # Changes nothing, but takes the lock before the row is read.
        held = connection.execute(
            update(ITEMS)
            .where(*mine, ITEMS.c.task_id == self.queue.task_id)
            .values(claimed_by=user_id)
        )
        if not held.rowcount:
            raise ConflictError("this event is no longer yours: your claim ran out")
        return as_item(connection.execute(select(ITEMS).where(*mine)).one())

    def _following(self, item: Item, user_id: int, label: int) -> State:
        if item.state == State.OPEN:
            return State.SECOND if self._rng.random() < self._second_share else State.DONE
        if item.state == State.SECOND and item.first_by != user_id:
            return State.DONE if item.verdict == label else State.DISPUTED
        return State.SECOND if item.state == State.SECOND else State.DONE

    def _judge_family(
        self,
        connection: Connection,
        item: Item,
        group: str,
        name: str,
        label: int,
        verdict_id: int,
    ) -> int:
        """Close what waits of a group, and remember the ruling; return how many events."""
        now = self.clock()
        waiting = (
            ITEMS.c.task_id == self.queue.task_id,
            ITEMS.c.group_name == group,
            ITEMS.c.state == State.OPEN,
            ITEMS.c.lane == Lane.VALUE,  # those drawn by lot are judged one by one
            ITEMS.c.id != item.id,
            (ITEMS.c.claimed_by.is_(None)) | (ITEMS.c.claimed_until <= now),
        )
        closed = connection.execute(
            update(ITEMS)
            .where(*waiting)
            .values(
                state=int(State.DONE),
                verdict=label,
                closed_by=verdict_id,
                claimed_by=None,
                claimed_until=0,
            )
            .returning(ITEMS.c.id)
        )
        ids = [int(i) for i in closed.scalars()]
        events = _event_ids(connection, (ITEMS.c.closed_by == verdict_id) & (ITEMS.c.id != item.id))
        behind = select(ITEMS.c.id).where(ITEMS.c.closed_by == verdict_id)
        events += _event_ids(
            connection, ITEMS.c.standing_for.in_(behind) & (ITEMS.c.standing_for != item.id)
        )
        self._say(name, FAMILY, events, label, f"all of {group[:200]}", SPREAD_CONFIDENCE)
        connection.execute(
            FAMILIES.insert(),
            {
                "task_id": self.queue.task_id,
                "group_name": group,
                "label": label,
                "verdict_id": verdict_id,
            },
        )
        return len(events) if ids else 0

    def _withdraw_family(
        self, connection: Connection, verdict_id: int, item_id: int, name: str, why: str
    ) -> None:
        """Open again what a ruling on a group closed."""
        connection.execute(
            update(FAMILIES)
            .where(FAMILIES.c.verdict_id == verdict_id, FAMILIES.c.revoked_s.is_(None))
            .values(revoked_s=int(self.clock()))
        )
        closed = (ITEMS.c.closed_by == verdict_id) & (ITEMS.c.id != item_id)
        behind = ITEMS.c.standing_for.in_(select(ITEMS.c.id).where(closed))
        ids = _event_ids(connection, closed) + _event_ids(connection, behind)
        self._say(name, FAMILY, ids, None, why, 0.0)
        connection.execute(
            update(ITEMS).where(closed).values(state=int(State.OPEN), verdict=None, closed_by=None)
        )

    def _say(
        self,
        name: str,
        version: str,
        ids: list[bytes],
        label: int | None,
        why: str,
        confidence: float = 1.0,
    ) -> None:
        """Store annotations; without a label, ones that withdraw what was said."""
        if not ids:
            return
        n_classes = len(self.queue.task.classes)
        said = np.full((len(ids), n_classes), 1 / n_classes, np.float32)
        if label is not None:
            said = np.tile(np.eye(n_classes, dtype=np.float32)[label], (len(ids), 1))
        self.store.add_arrays(
            self.queue.task,
            Annotator(name, version, "human"),
            ids,
            said,
            confidence=[confidence] * len(ids),
            rationales=[why[:MAX_NOTE] or None] * len(ids),
            created_s=[int(self.clock())] * len(ids),
        )


def _event_ids(connection: Connection, where: Any) -> list[bytes]:
    return [bytes(i) for i in connection.scalars(select(ITEMS.c.event_id).where(where))]
