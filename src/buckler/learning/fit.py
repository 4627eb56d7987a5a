"""Trains a student with cross-fitting: thresholds and calibration from rows it did not see.

The training rows are cut into folds by group. A student is trained without each fold and judges
it; all these held-out logits together give the calibration and the thresholds. The final student
is trained on all rows, for as many passes as served best on the folds. So no row is wasted, and a
threshold for few false alarms rests on every negative that there is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from buckler.errors import InputError
from buckler.evaluation.calibration import Calibration, fit_calibration
from buckler.evaluation.thresholds import Threshold, choose_thresholds
from buckler.events import Events
from buckler.learning.noise import suspect_labels
from buckler.students import Examples, Student, get_student
from buckler.tasks import Task

Floats = npt.NDArray[np.float32]
OnEpoch = Callable[[str, int, float, float], None]


@dataclass(frozen=True)
class Fitted:
    """A trained, calibrated student, and what its held-out rows said.

    Attributes
    ----------
    student
        Trained on all rows; the calibration is already in its weights.
    calibration, thresholds
        From the held-out logits.
    n_rows, n_groups
        What it was trained on.
    n_suspect
        Rows left out because their label is probably wrong.
    epochs
        Passes over the data.
    """

    student: Student
    calibration: Calibration
    thresholds: list[Threshold]
    n_rows: int
    n_groups: int
    n_suspect: int
    epochs: int


def fit_student(
    events: Events,
    task: Task,
    family: str,
    settings: dict[str, Any],
    *,
    folds: int = 5,
    drop_suspects: bool = False,
    seed: int = 0,
    on_epoch: OnEpoch | None = None,
) -> Fitted:
    """Train, calibrate and choose thresholds on labelled events.

    With `drop_suspects`, rows whose label is probably wrong (see `suspect_labels`) take no part in
    the final training, the calibration and the thresholds. Without it, a few wrong labels among
    the negatives make a threshold for few false alarms far too strict.

    Raises
    ------
    InputError
        If a class of the task has no example, or the groups are too few for the folds.
    """
    events = _labelled(events)
    n_classes = len(task.classes)
    crossed = cross_fit(events, task, family, settings, folds=folds, seed=seed, on_epoch=on_epoch)
    logits, epochs = crossed.logits, crossed.epochs
    weights = np.ones(len(events), np.float32)
    examples = Examples(events.texts, events.targets(n_classes), weights)
    n_suspect = 0
    if drop_suspects:
        probabilities = crossed.probabilities(events.labels)
        kept = np.flatnonzero(~suspect_labels(probabilities, events.labels))
        n_suspect = len(events) - len(kept)
        events, examples, logits = events.take(kept), _subset(examples, kept), logits[kept]
        _check_classes(events.labels, task)
    final = get_student(family, {**settings, "seed": seed, "epochs": epochs})
    final.fit(examples, None, _named(on_epoch, folds, folds))
    calibration = fit_calibration(logits, events.labels)
    final.rescale(calibration.slope, calibration.shift)
    bad = [i for i, name in enumerate(task.classes) if name in task.bad]
    thresholds: list[Threshold] = []
    if bad:
        probabilities = _probabilities(_calibrated(logits, calibration))
        badness = probabilities[:, bad].sum(axis=1).astype(np.float32)
        thresholds = choose_thresholds(badness, np.isin(events.labels, bad))
    n_groups = len(np.unique(events.group_codes()))
    return Fitted(final, calibration, thresholds, len(events), n_groups, n_suspect, epochs)


@dataclass(frozen=True)
class CrossFitted:
    """What students say of events of groups that they did not see in training.

    Attributes
    ----------
    logits
        float32 [n, 1] or [n, classes].
    epochs
        How many passes served best.
    """

    logits: Floats
    epochs: int

    def probabilities(self, labels: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """Return float64 [n, classes], calibrated on these labels."""
        calibration = fit_calibration(self.logits, labels)
        return _probabilities(_calibrated(self.logits, calibration))


def cross_fit(
    events: Events,
    task: Task,
    family: str,
    settings: dict[str, Any],
    *,
    folds: int = 5,
    seed: int = 0,
    on_epoch: OnEpoch | None = None,
) -> CrossFitted:
    """Train a student without each fold in turn and let it judge the fold; all rows are labelled.

    Raises
    ------
    InputError
        If a class of the task has no example, or the groups are too few for the folds.
    """
    n_classes = len(task.classes)
    _check_classes(events.labels, task)
    fold_of = assign_folds(events, folds, seed)
    examples = Examples(events.texts, events.targets(n_classes), np.ones(len(events), np.float32))
    logits = np.zeros((len(events), 1 if n_classes == 2 else n_classes), np.float32)
    best_epochs = []
    for fold in range(folds):
        held_out = np.flatnonzero(fold_of == fold)
        rest = np.flatnonzero(fold_of != fold)
        student = get_student(family, {**settings, "seed": seed})
        student.fit(
            _subset(examples, rest), _subset(examples, held_out), _named(on_epoch, fold, folds)
        )
        logits[held_out] = student.predict_logits(examples.texts.take(held_out))
        best_epochs.append(student.best_epoch_)
    return CrossFitted(logits, max(1, round(float(np.median(best_epochs)))))


def _labelled(events: Events) -> Events:
    rows = np.flatnonzero(events.labels >= 0)
    return events if len(rows) == len(events) else events.take(rows)


def assign_folds(events: Events, folds: int, seed: int) -> npt.NDArray[np.intp]:
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
    ids = events.table.column("id").to_pylist()
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


def _check_classes(labels: npt.NDArray[np.int32], task: Task) -> None:
    if not len(labels):
        raise InputError("no row has a label; name the column with label_column")
    counts = np.bincount(labels, minlength=len(task.classes))
    missing = [name for name, n in zip(task.class_names, counts, strict=True) if n == 0]
    if len(missing) == len(task.classes) - 1 or (missing and len(task.classes) == 2):
        raise InputError(f"training needs examples of more than one class; none of {missing[0]!r}")


def _subset(examples: Examples, rows: npt.NDArray[np.intp]) -> Examples:
    return Examples(examples.texts.take(rows), examples.targets[rows], examples.weights[rows])


def _named(
    on_epoch: OnEpoch | None, fold: int, folds: int
) -> Callable[[int, float, float], None] | None:
    if on_epoch is None:
        return None
    name = f"fold {fold + 1}/{folds}" if fold < folds else "all rows"
    return lambda epoch, loss, validation_loss: on_epoch(name, epoch, loss, validation_loss)


def _calibrated(logits: Floats, calibration: Calibration) -> Floats:
    return np.asarray(calibration.slope * logits + calibration.shift, np.float32)


def _probabilities(logits: Floats) -> npt.NDArray[np.float64]:
    """float64 [n, classes] from [n, 1] or [n, classes] logits."""
    z = logits.astype(np.float64)
    if z.shape[1] == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(z / z.sum(axis=1, keepdims=True))
