"""Facts that help to decide on an event: when and where it was seen, and labels on its like."""

import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, or_, select

from buckler.dataset import Dataset
from buckler.review.queue import Item, Queue
from buckler.review.review_tables import FACTS, ITEMS, State

FACT_FIELDS = ("host", "user", "source_ip")
_TIMES = "times"  # key of the number of rows that were this very event
_MAX_VALUES, _MAX_CHARACTERS, _MAX_ITEMS = 3, 200, 200


@dataclass(frozen=True)
class EventFacts:
    """Facts about an event and the near-duplicates that are grouped under it.

    Attributes
    ----------
    times
        Number of times that this very event stood in the files from which it entered the queue.
    near_duplicates
        Number of other events that are grouped under it.
    first_s, last_s
        Times of the first and the last one; None where no log says.
    seen_by
        Host, user and source address -> the values that the logs name, and the number of others.
    source
        Origin of the event; None where it is unknown.
    earlier
        Class -> labeled events of its group; empty while the event is labeled blind.
    """

    times: int
    near_duplicates: int
    first_s: int | None
    last_s: int | None
    seen_by: dict[str, tuple[list[str], int]]
    source: str | None
    earlier: dict[str, int]


def facts_of(events: Dataset, times: npt.NDArray[np.int64]) -> list[dict[str, str]]:
    """Return what the logs say of each event, and how often it stood there: field -> value."""
    facts: list[dict[str, str]] = [{_TIMES: str(n)} if n > 1 else {} for n in times]
    for role in FACT_FIELDS:
        if (name := f"event.{role}") in events.table.column_names:
            for found, value in zip(facts, events.table.column(name).to_pylist(), strict=True):
                if value:
                    found[role] = value[:_MAX_CHARACTERS]
    return facts


def find_facts(item: Item, queue: Queue) -> EventFacts:
    """Gather the facts about an item."""
    alike = or_(ITEMS.c.id == item.id, ITEMS.c.duplicate_of == item.id)
    seen = select(func.count(), func.min(ITEMS.c.ts), func.max(ITEMS.c.ts)).where(alike)
    facts = (
        select(ITEMS.c.id, FACTS.c.facts).join(ITEMS, ITEMS.c.id == FACTS.c.item_id).where(alike)
    )
    with queue.store.reading() as connection:
        count, first_s, last_s = connection.execute(seen).one()
        rows = connection.execute(facts.order_by(ITEMS.c.id).limit(_MAX_ITEMS)).all()
    times, values = 1, {role: dict[str, None]() for role in FACT_FIELDS}
    for row in rows:
        for role, value in json.loads(row.facts).items():
            if role != _TIMES:
                values[role][value] = None
            elif row.id == item.id:
                times = int(value)
    stored = queue.store.events([item.event_id]).get(item.event_id)
    return EventFacts(
        times=times,
        near_duplicates=int(count) - 1,
        first_s=first_s,
        last_s=last_s,
        seen_by={
            role.replace("source_ip", "source address"): (
                list(found)[:_MAX_VALUES],
                max(0, len(found) - _MAX_VALUES),
            )
            for role, found in values.items()
            if found
        },
        source=stored.source if stored is not None else None,
        earlier={} if item.blind else _earlier_labels(item, queue),
    )


def _earlier_labels(item: Item, queue: Queue) -> dict[str, int]:
    """Return how many other events of the group have each label."""
    if item.group is None:
        return {}
    query = (
        select(ITEMS.c.analyst_label, func.count())
        .where(
            ITEMS.c.task_id == queue.task_id,
            ITEMS.c.group_name == item.group,
            ITEMS.c.state == State.DONE,
            ITEMS.c.analyst_label.is_not(None),
            ITEMS.c.id != item.id,
        )
        .group_by(ITEMS.c.analyst_label)
        .order_by(func.count().desc())
    )
    with queue.store.reading() as connection:
        return {queue.task.class_names[k]: int(n) for k, n in connection.execute(query)}
