"""The small students that gates use: n-grams for texts, trees for rows of features."""

from typing import Any

from buckler.students import Student, get_student
from buckler.tasks import Task

_EPOCHS_OF_TREES = 8


def new_classifier(task: Task, *, epochs: int, seed: int, **of_texts: Any) -> Student:
    """Return an untrained student that fits a task's events."""
    if not task.features:
        return get_student("ngram", {"epochs": epochs, "seed": seed, **of_texts})
    known = {"features": task.features.names, "n_categories": len(task.categories)}
    return get_student("trees", {**known, "epochs": _EPOCHS_OF_TREES, "seed": seed})
