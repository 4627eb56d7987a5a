"""Contract of teachers."""

import numpy as np

from buckler.dataset import Dataset
from buckler.labels import Annotation
from buckler.teachers.budget import Budget
from buckler.teachers.teacher import Estimate, Teacher
from buckler.testing.contract import require

_SAME = 1e-4
Answers = list[Annotation | None]


def check_teacher(teacher: Teacher, events: Dataset) -> None:
    """Check a teacher on some events, which it is asked about several times.

    Parameters
    ----------
    teacher
        The teacher; one that costs nothing.
    events
        A few events, hostile ones among them.

    Raises
    ------
    ContractError
        If it breaks a rule.
    """
    require(type(teacher).kind, "a teacher has a kind")
    require(teacher.annotator.name, "a teacher annotates under a name")
    require(teacher.annotator.version, "an annotator has a version")
    before = events.table
    answers = teacher.annotate(events)
    require(len(answers) == len(events), "each event has an annotation or None")
    for event_id, answer in zip(events.ids, answers, strict=True):
        if answer is not None:
            require(answer.event_id == event_id, "an annotation names its own event")
            right = len(answer.probabilities) == len(events.task.classes)
            require(right, "an annotation has a probability for each class")
    require(events.table.equals(before), "annotating changes no event")
    require(_alike(teacher.annotate(events), answers), "the same events have the same annotations")
    order = np.arange(len(events))[::-1]
    turned = teacher.annotate(events.take(order))
    require(_alike(turned[::-1], answers), "the order of events changes no annotation")
    alone = [teacher.annotate(events.take(order[i : i + 1]))[0] for i in range(len(order))]
    require(_alike(alone[::-1], answers), "the neighbors of an event change no annotation")
    require(teacher.annotate(events.take(order[:0])) == [], "no events have no annotations")
    require(isinstance(teacher.estimate(events), Estimate), "a teacher estimates its cost")
    if not teacher.is_paid:
        require(teacher.estimate(events) == Estimate(), "a teacher that costs nothing estimates 0")
        teacher.check_budget(Budget())


def _alike(answers: Answers, others: Answers) -> bool:
    for one, other in zip(answers, others, strict=True):
        if (one is None) != (other is None):
            return False
        if one is None or other is None:
            continue
        if one.event_id != other.event_id or not np.allclose(
            one.probabilities, other.probabilities, atol=_SAME
        ):
            return False
    return True
