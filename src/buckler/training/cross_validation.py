"""Students trained without each fold in turn, so that every label can be judged from outside.

Folds are cut by group. Examples without a label of their own (pseudo-labels, synthetic examples) help to
train, but never in a fold whose groups they share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.splits import apart_from
from buckler.errors import InputError
from buckler.evaluation.calibration import Calibration, fit_calibration, probabilities_of
from buckler.students import Student, get_student
from buckler.synthesis.synthetic_examples import SYNTHETIC_EXAMPLE
from buckler.tasks import Task

Floats = npt.NDArray[np.float32]
OnEpoch = Callable[[str, int, float, float], None]


@dataclass(frozen=True)
class CrossFitted:
    """What students say of events of groups that they did not see in training.

    Attributes
    ----------
    logits
        float32 [n, 1] or [n, classes].
    epochs
        How many passes served best.
    students
        One a fold, which it did not see; not calibrated.
    """

    logits: Floats
    epochs: int
    students: list[Student]

    def probabilities(self, labels: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """Return float64 [n, classes], calibrated on these labels."""
        calibration = fit_calibration(self.logits, labels)
        return probabilities_of(calibrated(self.logits, calibration))


def cross_fit(
    events: Dataset,
    family: str,
    settings: dict[str, Any],
    *,
    extra: Dataset | Sequence[Dataset | None] | None = None,
    folds: int = 5,
    seed: int = 0,
    on_epoch: OnEpoch | None = None,
) -> CrossFitted:
    """Train a student without each fold in turn and let it judge the fold; all rows are labeled.

    `extra` examples are the same for all folds, or one set for each. Where they come from a
    student, they must be one set for each, from a student that did not see the fold: else what
    they say of the pool is what the fold's own labels taught.

    Raises
    ------
    InputError
        If a class of the task has no example, or the groups are too few for the folds.
    """
    task = events.task
    n_classes = len(task.classes)
    check_classes(events.labels, task)
    fold_of = assign_folds(events, folds, seed)
    logits = np.zeros((len(events), 1 if n_classes == 2 else n_classes), np.float32)
    students: list[Student] = []
    for fold in range(folds):
        held_out = np.flatnonzero(fold_of == fold)
        rest = np.flatnonzero(fold_of != fold)
        training = events.take(rest)
        own = extra if extra is None or isinstance(extra, Dataset) else extra[fold]
        watched = events.take(held_out)
        if own is not None:
            apart = own.take(apart_from(own, watched))
            watches = _watches(apart, fold, folds)
            training = Dataset.concat([training, apart.take(np.flatnonzero(~watches))])
            watched = Dataset.concat([watched, apart.take(np.flatnonzero(watches))])
        student = new_student(family, {**settings, "seed": seed}, task)
        student.fit(training, watched, named(on_epoch, fold, folds))
        logits[held_out] = student.predict_logits(events.texts.take(held_out))
        students.append(student)
    best_epochs = [student.best_epoch_ for student in students]
    return CrossFitted(logits, max(1, round(float(np.median(best_epochs)))), students)


def new_student(family: str, settings: dict[str, Any], task: Task) -> Student:
    """Return an untrained student for a task; one of features is told their names."""
    if not task.features:
        return get_student(family, settings)
    known = {"features": task.features.names, "n_categories": len(task.categories)}
    return get_student(family, {**settings, **known})


def _watches(extra: Dataset, fold: int, folds: int) -> npt.NDArray[np.bool_]:
    """Tell which extra examples a fold's student does not learn from, to know when to stop.

    A teacher has often seen the labels; so the held-out ones, which it has told of in the pool, say
    that one pass is enough. What it said of events that the student did not see says how well the
    student has learned from it. Synthetic examples do not count: no student should stop where it knows them.
    """

    def own_fold(name: str | None, event_id: bytes) -> int:
        content = event_id if name is None else name.encode("utf-8", "replace")
        return int.from_bytes(blake2b(content, digest_size=4).digest(), "big") % folds

    own = zip(extra.groups, extra.ids, strict=True)
    watches = np.array([own_fold(name, i) == fold for name, i in own], bool)
    watches[np.flatnonzero(extra.sources == SYNTHETIC_EXAMPLE)] = False
    return watches


def assign_folds(events: Dataset, folds: int, seed: int) -> npt.NDArray[np.intp]:
    """Return a fold for each event; a group stays together, events without one stand alone.

    Large groups are dealt first, each to the fold that is then smallest, so the folds are even.

    Raises
    ------
    InputError
        If there are fewer groups than folds.
    """
    codes = events.group_codes()
    unique, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    if len(unique) < folds:
        raise InputError(
            f"{len(unique)} groups are too few for {folds} folds; lower `folds` or label more"
        )
    ids = events.ids
    first = np.zeros(len(unique), np.intp)
    first[inverse[::-1]] = np.arange(len(codes))[::-1]
    salt = seed.to_bytes(8, "little", signed=True)
    keys = [blake2b(ids[row], digest_size=8, salt=salt).digest() for row in first]
    order = sorted(range(len(unique)), key=lambda g: (-counts[g], keys[g]))
    sizes = np.zeros(folds, np.int64)
    fold_of = np.zeros(len(unique), np.intp)
    for group in order:
        fold = int(sizes.argmin())
        fold_of[group] = fold
        sizes[fold] += counts[group]
    return fold_of[inverse]


def check_classes(labels: npt.NDArray[np.int32], task: Task) -> None:
    """Raise InputError unless there is something to learn."""
    if not len(labels):
        raise InputError("no row has a label; name the column with label_column")
    counts = np.bincount(labels, minlength=len(task.classes))
    missing = [name for name, n in zip(task.class_names, counts, strict=True) if n == 0]
    if len(missing) == len(task.classes) - 1 or (missing and len(task.classes) == 2):
        raise InputError(f"training needs examples of more than one class; none of {missing[0]!r}")


def named(
    on_epoch: OnEpoch | None, fold: int, folds: int
) -> Callable[[int, float, float], None] | None:
    """Name the fold to those who watch."""
    if on_epoch is None:
        return None
    name = f"fold {fold + 1}/{folds}" if fold < folds else "all rows"
    return lambda epoch, loss, validation_loss: on_epoch(name, epoch, loss, validation_loss)


def calibrated(logits: Floats, calibration: Calibration) -> Floats:
    """Apply a calibration to logits."""
    return np.asarray(calibration.slope * logits + calibration.shift, np.float32)
