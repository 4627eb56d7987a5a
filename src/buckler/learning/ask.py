"""The stage in which a teacher is asked; the label store keeps what it says and is its cache."""

import time
from typing import Any

from buckler.errors import InputError
from buckler.events import Events
from buckler.labels import LabelStore
from buckler.learning.recipe import TeacherSection
from buckler.tasks import Task
from buckler.teachers import Teacher
from buckler.teachers.asking.limits import Budget
from buckler.teachers.run import check_price, label_events


def ask(
    teacher: Teacher, store: LabelStore, events: list[Events], task: Task, section: TeacherSection
) -> dict[str, Any]:
    """Ask about these events, each once in all runs, within the budget; return a summary.

    Raises
    ------
    SettingsError
        If a budget in dollars is set and no price is known.
    InputError
        If there are events and the teacher judged none of them, in this run or before.
    """
    budget = Budget(usd=section.budget_usd, tokens=section.budget_tokens)
    check_price(teacher, budget)
    summary: dict[str, Any] = {"teacher": f"{teacher.labeler.name} {teacher.labeler.version}"}
    asked = known = new = 0
    started = time.monotonic()
    for some in events:
        labelled = label_events(store, teacher, some, task, budget=budget)
        asked += labelled.events
        known += labelled.known
        new += labelled.new
        if labelled.account is not None and labelled.account.stopped:
            summary["stopped"] = labelled.account.stopped
    if asked and not known + new:
        raise InputError(f"the teacher {teacher.labeler.name!r} judged none of {asked:,} events")
    seconds = time.monotonic() - started
    summary |= {"events": asked, "judged_before": known, "new_opinions": new}
    if new:
        summary["opinions_per_second"] = round(new / max(seconds, 1e-9), 1)
    return summary
