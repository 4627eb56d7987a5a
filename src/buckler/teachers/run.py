"""Asks a teacher about events, once for each, and keeps every answer at once."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from buckler.events import Events
from buckler.labels import LabelStore, Opinion
from buckler.tasks import Task
from buckler.teachers.teacher import Teacher

BATCH_ROWS = 1000


@dataclass(frozen=True)
class Labelled:
    """What a labelling run did.

    Attributes
    ----------
    events
        Different events that were given.
    known
        Of these, already judged by this labeler in this version: not asked again.
    new
        New opinions.
    silent
        Events of which the teacher said nothing.
    agreed, compared
        How often its verdict was the event's own label, of those that have one (new ones only).
    """

    events: int
    known: int
    new: int
    silent: int
    agreed: int
    compared: int


def label_events(
    store: LabelStore,
    teacher: Teacher,
    events: Events,
    task: Task,
    *,
    on_progress: Callable[[int], None] | None = None,
) -> Labelled:
    """Ask a teacher about every event that it has not judged before.

    Answers are stored batch by batch: stop at any time, and the next run asks for the rest.
    """
    ids = events.table.column("id").to_pylist()
    first = {event_id: row for row, event_id in reversed(list(enumerate(ids)))}
    known = store.known(task, teacher.labeler, first)
    rows = np.array(sorted(row for i, row in first.items() if i not in known), np.intp)
    new = silent = agreed = compared = 0
    for start in range(0, len(rows), BATCH_ROWS):
        batch = events.take(rows[start : start + BATCH_ROWS])
        answers = teacher.annotate(batch)
        said = [(row, answer) for row, answer in enumerate(answers) if answer is not None]
        spoken: list[Opinion] = [answer for _, answer in said]
        silent += len(batch) - len(said)
        if said:
            asked = batch.take(np.array([row for row, _ in said], np.intp))
            store.add_events(
                asked.table.column("id").to_pylist(), asked.table.column("text").to_pylist()
            )
            new += store.add(task, teacher.labeler, spoken)
            verdicts = np.array([np.argmax(answer.probabilities) for answer in spoken])
            labelled = asked.labels >= 0
            compared += int(labelled.sum())
            agreed += int((verdicts == asked.labels)[labelled].sum())
        if on_progress is not None:
            on_progress(len(batch))
    return Labelled(len(first), len(known), new, silent, agreed, compared)
