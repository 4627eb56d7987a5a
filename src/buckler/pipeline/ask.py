"""The stage in which a teacher is asked; the label store keeps what it says and is its cache."""

import time
from typing import Any

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.labels import LabelStore
from buckler.pipeline.recipe import TeacherSection
from buckler.teachers import Teacher
from buckler.teachers.llm.limits import Budget
from buckler.teachers.run import check_price, label_events


def ask(
    teacher: Teacher, store: LabelStore, events: list[Dataset], section: TeacherSection
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
    summary: dict[str, Any] = {"teacher": f"{teacher.annotator.name} {teacher.annotator.version}"}
    asked = known = new = 0
    started = time.monotonic()
    for some in events:
        labeled = label_events(store, teacher, some, budget=budget)
        asked += labeled.events
        known += labeled.known
        new += labeled.new
        if labeled.account is not None and labeled.account.stopped:
            summary["stopped"] = labeled.account.stopped
    if asked and not known + new:
        raise InputError(f"the teacher {teacher.annotator.name!r} judged none of {asked:,} events")
    seconds = time.monotonic() - started
    summary |= {"events": asked, "judged_before": known, "new_annotations": new}
    if new:
        summary["annotations_per_second"] = round(new / max(seconds, 1e-9), 1)
    return summary
