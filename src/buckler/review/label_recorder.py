"""Records labels of analysts: annotations in the label store, and the evidence they were shown."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import ColumnElement, Connection, Select, select, update

from buckler.errors import BucklerError
from buckler.labels import AnnotationColumns, Annotator
from buckler.review.queue import Item, Queue, to_item
from buckler.review.review_tables import FAMILIES, ITEMS, LABELS, USERS, State, Stratum

# Annotator versions for labels that spread from another event.
NEAR_DUPLICATE, FAMILY = "near-duplicate", "family"
SPREAD_CONFIDENCE = 0.5
MAX_NOTE = 2000
UNDO_S = 3600
_MAX_FAMILIES = 500


class ConflictError(BucklerError):
    """The item belongs to another analyst, or the claim expired; nothing is stored."""


@dataclass(frozen=True)
class LabelForm:
    """The form that an analyst sends.

    Attributes
    ----------
    label
        Index of the class.
    note, seconds
        Remark, and the time that the event was on the screen.
    evidence
        Scores, annotators and similar events that were on the screen.
    family
        Label the item's whole group: items that wait, and events that come later.
    """

    label: int
    note: str = ""
    seconds: float = 0.0
    evidence: Mapping[str, object] = field(default_factory=dict)
    family: bool = False


@dataclass(frozen=True)
class RecordedLabel:
    """A stored label.

    Attributes
    ----------
    id
        Key in `review_labels`.
    covers
        Number of events that the label covers, its own among them.
    state
        New state of the item.
    """

    id: int
    covers: int
    state: State


@dataclass(frozen=True)
class FamilyLabel:
    """A label on a whole group."""

    id: int
    group: str
    label: int
    by: str
    at_s: int
    covers: int


class LabelRecorder:
    """Records and undoes labels in one queue.

    Parameters
    ----------
    second_share
        Share of first labels whose event a second analyst labels too.
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

    def record(
        self, item_id: int, user: tuple[int, str], form: LabelForm, *, lead: bool = False
    ) -> RecordedLabel:
        """Store a label on an item that this analyst has claimed.

        Parameters
        ----------
        user
            Number and name.
        lead
            Allow the analyst to decide a dispute.

        Raises
        ------
        ConflictError
            If the item is not this analyst's; nothing is stored.
        """
        user_id, name = user
        with self.store.transaction() as connection:
            item = self._lock_item(connection, item_id, user_id)
            if item.state == State.DISPUTED and not lead:
                raise ConflictError("two analysts disagree on this event: a lead decides")
            state = self._next_state(item, user_id, form.label)
            label_id = self._insert(connection, item, user_id, form)
            first = user_id if item.first_by is None else item.first_by
            connection.execute(
                update(ITEMS)
                .where(ITEMS.c.id == item.id)
                .values(
                    state=int(state),
                    analyst_label=form.label,
                    closed_by=label_id,
                    first_by=first,
                    claimed_by=None,
                    claimed_until=0,
                )
            )
            self._annotate(name, "", [item.event_id], form.label, form.note)
            near = _event_ids(connection, ITEMS.c.duplicate_of == item.id)
            why = f"near-duplicate of {item.event_id.hex()}"
            self._annotate(name, NEAR_DUPLICATE, near, form.label, why, SPREAD_CONFIDENCE)
            covers = 1 + len(near)
            if form.family and item.group is not None:
                covers += self._label_family(connection, item, name, form.label, label_id)
            connection.execute(update(LABELS).where(LABELS.c.id == label_id).values(covers=covers))
        return RecordedLabel(label_id, covers, state)

    def undo(self, user: tuple[int, str]) -> int | None:
        """Undo this analyst's last label of the past hour; return its item, claimed again.

        The annotations stay; further annotations withdraw them.

        Raises
        ------
        ConflictError
            If another analyst has labeled the event since.
        """
        user_id, name = user
        now = int(self.clock())
        latest = (
            select(LABELS)
            .where(
                LABELS.c.task_id == self.queue.task_id,
                LABELS.c.user_id == user_id,
                LABELS.c.undone_s.is_(None),
                LABELS.c.created_s > now - UNDO_S,
            )
            .order_by(LABELS.c.id.desc())
            .limit(1)
        )
        with self.store.reading() as connection:
            row = connection.execute(latest).one_or_none()
        if row is None:
            return None
        with self.store.transaction() as connection:
            marked = connection.execute(
                update(LABELS)
                .where(LABELS.c.id == row.id, LABELS.c.undone_s.is_(None))
                .values(undone_s=now)
            )
            if not marked.rowcount:
                raise ConflictError("that label was undone already")
            restored = connection.execute(
                update(ITEMS)
                .where(ITEMS.c.id == row.item_id, ITEMS.c.closed_by == row.id)
                .values(
                    **json.loads(row.before),
                    claimed_by=user_id,
                    claimed_until=now + self.queue.claim_s,
                )
            )
            if not restored.rowcount:
                raise ConflictError("a colleague has labeled that event since")
            for version, where in (("", ITEMS.c.id), (NEAR_DUPLICATE, ITEMS.c.duplicate_of)):
                ids = _event_ids(connection, where == row.item_id)
                self._annotate(name, version, ids, None, "withdrawn", 0.0)
            self._withdraw_family(connection, row.id, row.item_id, name, "withdrawn")
        return int(row.item_id)

    def families(self) -> list[FamilyLabel]:
        """Return the labels on whole groups that are in force, newest first."""
        newest = self._families().order_by(FAMILIES.c.id.desc()).limit(_MAX_FAMILIES)
        with self.store.reading() as connection:
            rows = connection.execute(newest).all()
        return [
            FamilyLabel(r.id, r.group_name, r.label, r.name, r.created_s, r.covers) for r in rows
        ]

    def revoke(self, family_id: int, by: str) -> str | None:
        """Revoke the label on a group, not the label on the event it came from.

        Returns
        -------
        str or None
            The group; None where no such label is in force.
        """
        query = self._families().where(FAMILIES.c.id == family_id)
        with self.store.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        with self.store.transaction() as connection:
            why = f"withdrawn by {by}"
            self._withdraw_family(connection, row.label_id, row.item_id, row.name, why)
        return str(row.group_name)

    # --- parts ------------------------------------------------------------------------------------

    def _families(self) -> Select[tuple[object, ...]]:
        """Return the query for the labels on groups that are in force."""
        columns = (LABELS.c.item_id, LABELS.c.covers, LABELS.c.created_s, USERS.c.name)
        return (
            select(FAMILIES, *columns)
            .join(LABELS, LABELS.c.id == FAMILIES.c.label_id)
            .join(USERS, USERS.c.id == LABELS.c.user_id)
            .where(FAMILIES.c.task_id == self.queue.task_id, FAMILIES.c.revoked_s.is_(None))
        )

    def _lock_item(self, connection: Connection, item_id: int, user_id: int) -> Item:
        """Lock an item that this analyst holds, and read it."""
        own = (ITEMS.c.id == item_id, ITEMS.c.claimed_by == user_id)
        # This changes nothing, but takes the lock before the row is read.
        locked = connection.execute(
            update(ITEMS)
            .where(*own, ITEMS.c.task_id == self.queue.task_id)
            .values(claimed_by=user_id)
        )
        if not locked.rowcount:
            raise ConflictError("this event is no longer yours: your claim expired")
        return to_item(connection.execute(select(ITEMS).where(*own)).one())

    def _insert(self, connection: Connection, item: Item, user_id: int, form: LabelForm) -> int:
        before = {
            "state": int(item.state),
            "analyst_label": item.analyst_label,
            "closed_by": item.closed_by,
            "first_by": item.first_by,
        }
        row = {
            "task_id": self.queue.task_id,
            "item_id": item.id,
            "user_id": user_id,
            "label": form.label,
            "note": form.note[:MAX_NOTE],
            "family": item.group if form.family else None,
            "covers": 1,
            "seconds": min(max(form.seconds, 0.0), 3600.0),
            "evidence": json.dumps(form.evidence),
            "before": json.dumps(before),
            "created_s": int(self.clock()),
        }
        statement = LABELS.insert().returning(LABELS.c.id)
        return int(connection.execute(statement, row).scalar_one())

    def _next_state(self, item: Item, user_id: int, label: int) -> State:
        if item.state == State.OPEN:
            return State.SECOND if self._rng.random() < self._second_share else State.DONE
        if item.state == State.SECOND and item.first_by != user_id:
            return State.DONE if item.analyst_label == label else State.DISPUTED
        return State.SECOND if item.state == State.SECOND else State.DONE

    def _label_family(
        self, connection: Connection, item: Item, name: str, label: int, label_id: int
    ) -> int:
        """Label the waiting items of a group, and later events; return the number of events."""
        group = item.group or ""
        now = self.clock()
        waiting = (
            ITEMS.c.task_id == self.queue.task_id,
            ITEMS.c.group_name == group,
            ITEMS.c.state == State.OPEN,
            ITEMS.c.stratum == Stratum.RANKED,  # random samples need a label each
            ITEMS.c.id != item.id,
            (ITEMS.c.claimed_by.is_(None)) | (ITEMS.c.claimed_until <= now),
        )
        closed = connection.execute(
            update(ITEMS)
            .where(*waiting)
            .values(
                state=int(State.DONE),
                analyst_label=label,
                closed_by=label_id,
                claimed_by=None,
                claimed_until=0,
            )
            .returning(ITEMS.c.id)
        )
        any_closed = bool(closed.all())
        events = _event_ids(connection, (ITEMS.c.closed_by == label_id) & (ITEMS.c.id != item.id))
        above = select(ITEMS.c.id).where(ITEMS.c.closed_by == label_id)
        events += _event_ids(
            connection, ITEMS.c.duplicate_of.in_(above) & (ITEMS.c.duplicate_of != item.id)
        )
        why = f"family {group[:200]}"
        self._annotate(name, FAMILY, events, label, why, SPREAD_CONFIDENCE)
        connection.execute(
            FAMILIES.insert(),
            {
                "task_id": self.queue.task_id,
                "group_name": group,
                "label": label,
                "label_id": label_id,
            },
        )
        return len(events) if any_closed else 0

    def _withdraw_family(
        self, connection: Connection, label_id: int, item_id: int, name: str, why: str
    ) -> None:
        """Open the items again that a label on a group closed."""
        connection.execute(
            update(FAMILIES)
            .where(FAMILIES.c.label_id == label_id, FAMILIES.c.revoked_s.is_(None))
            .values(revoked_s=int(self.clock()))
        )
        closed = (ITEMS.c.closed_by == label_id) & (ITEMS.c.id != item_id)
        below = ITEMS.c.duplicate_of.in_(select(ITEMS.c.id).where(closed))
        ids = _event_ids(connection, closed) + _event_ids(connection, below)
        self._annotate(name, FAMILY, ids, None, why, 0.0)
        connection.execute(
            update(ITEMS)
            .where(closed)
            .values(state=int(State.OPEN), analyst_label=None, closed_by=None)
        )

    def _annotate(
        self,
        name: str,
        version: str,
        ids: list[bytes],
        label: int | None,
        why: str,
        confidence: float = 1.0,
    ) -> None:
        """Store annotations; without a label, annotations that withdraw earlier ones."""
        if not ids:
            return
        n_classes = len(self.queue.task.classes)
        probabilities = np.full((len(ids), n_classes), 1 / n_classes, np.float32)
        if label is not None:
            probabilities = np.tile(np.eye(n_classes, dtype=np.float32)[label], (len(ids), 1))
        self.store.add_arrays(
            self.queue.task,
            Annotator(name, version, "human"),
            ids,
            probabilities,
            AnnotationColumns(
                confidence=[confidence] * len(ids),
                rationales=[why[:MAX_NOTE] or None] * len(ids),
                created_s=[int(self.clock())] * len(ids),
            ),
        )


def _event_ids(connection: Connection, where: ColumnElement[bool]) -> list[bytes]:
    return [bytes(i) for i in connection.scalars(select(ITEMS.c.event_id).where(where))]
