"""Verdicts on events that were drawn by lot: the ones from which honest figures come."""

from sqlalchemy import ColumnElement, select

from buckler.labels import LabelStore
from buckler.labels.schema import TASKS
from buckler.review.schema import ITEMS, Lane, State, migrate_review
from buckler.tasks import Task


def drawn_by_lot(store: LabelStore, task: Task) -> set[bytes]:
    """Return the events that were drawn by lot, judged or not."""
    query = select(ITEMS.c.event_id).select_from(_OF_TASK).where(_drawn(task))
    with store.writing() as connection:
        migrate_review(connection)
        return {bytes(event_id) for event_id in connection.scalars(query)}


def lot_verdicts(store: LabelStore, task: Task) -> dict[bytes, int]:
    """Return event -> class index of those that analysts have judged, and do not dispute."""
    judged = ITEMS.c.state.in_((State.DONE, State.SECOND)) & ITEMS.c.verdict.is_not(None)
    query = select(ITEMS.c.event_id, ITEMS.c.verdict).select_from(_OF_TASK)
    with store.writing() as connection:
        migrate_review(connection)
        rows = connection.execute(query.where(_drawn(task), judged))
        return {bytes(event_id): int(label) for event_id, label in rows}


_OF_TASK = ITEMS.join(TASKS, TASKS.c.id == ITEMS.c.task_id)


def _drawn(task: Task) -> ColumnElement[bool]:
    return (TASKS.c.name == task.name) & (ITEMS.c.lane != Lane.VALUE)
