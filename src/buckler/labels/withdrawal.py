"""Withdrawal of annotators: their annotations stay in the store, and no longer count.

A feed that turns out to be wrong, a teacher with a bad prompt, or a stolen account of an analyst is
withdrawn as a whole. The record is append-only, like the annotations, so it can be undone.
"""

import time
from collections.abc import Iterable

import sqlalchemy as sa

from buckler.errors import InputError, did_you_mean
from buckler.labels.annotation import Annotator
from buckler.labels.database import Database, storable
from buckler.labels.label_tables import ANNOTATIONS, ANNOTATORS, WITHDRAWALS, task_query
from buckler.tasks import Task


def withdraw_annotator(
    store: Database, task: Task, annotator: str, *, reason: str = "", withdrawn: bool = True
) -> list[Annotator]:
    """Withdraw an annotator from a task, or let it count again; return every version of it.

    It is not asked again about the events that it has annotated.

    Parameters
    ----------
    annotator
        Its name, or ``NAME@VERSION`` for one version.
    reason
        Note that is kept with the withdrawal.
    withdrawn
        False lets it count again.

    Raises
    ------
    InputError
        If the annotator has no annotation for the task.
    """
    found = find_annotators(store, task, [annotator])
    now_s = int(time.time())
    with store.writing() as connection:
        rows = [
            {
                "task_id": connection.scalar(sa.select(task_query(task))),
                "annotator_id": key,
                "withdrawn": withdrawn,
                "reason": storable(reason),
                "created_s": now_s,
            }
            for key in found
        ]
        connection.execute(WITHDRAWALS.insert(), rows)
    return list(found.values())


def withdrawn_annotators(store: Database, task: Task) -> dict[int, str]:
    """Return the annotators that are withdrawn from a task: id -> reason."""
    query = sa.select(WITHDRAWALS).where(WITHDRAWALS.c.task_id == task_query(task))
    with store.reading() as connection:
        rows = connection.execute(query.order_by(WITHDRAWALS.c.id)).all()
    last = {row.annotator_id: row for row in rows}
    return {key: row.reason for key, row in last.items() if row.withdrawn}


def find_annotators(store: Database, task: Task, names: Iterable[str]) -> dict[int, Annotator]:
    """Return by id the annotators with these names, or names and versions (``NAME@VERSION``).

    Raises
    ------
    InputError
        If a name has no annotation for the task.
    """
    query = sa.select(ANNOTATORS).where(
        ANNOTATORS.c.id.in_(
            sa.select(ANNOTATIONS.c.annotator_id)
            .distinct()
            .where(ANNOTATIONS.c.task_id == task_query(task))
        )
    )
    with store.reading() as connection:
        rows = connection.execute(query).all()
    known = {row.id: Annotator(row.name, row.version, row.kind) for row in rows}
    found: dict[int, Annotator] = {}
    for name in names:
        fitting = {key: who for key, who in known.items() if name in (who.name, who.full_name)}
        if not fitting:
            there = sorted({who.name for who in known.values()})
            raise InputError(
                f"no annotator {name!r} for task {task.name!r}"
                f"{did_you_mean(name, there) or ';'} there are: {', '.join(there) or 'none'}",
                field="annotator",
            )
        found |= fitting
    return found
