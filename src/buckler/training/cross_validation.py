"""Students trained without each fold in turn, so that every label is scored out of fold.

Folds are cut by group. Additional examples without a label of their own (a teacher's annotations,
synthetic examples) help to train, but never in a fold whose groups they share.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.dataset.sources import balance_sources
from buckler.dataset.splits import apart_from, draw_groups
from buckler.errors import InputError
from buckler.evaluation.calibration import Calibration, fit_calibration, probabilities_of
from buckler.evaluation.unseen_sources import ThresholdRule
from buckler.extras import count_cores
from buckler.students import Student, get_student
from buckler.synthesis.synthetic_examples import SYNTHETIC_EXAMPLE
from buckler.tasks import Task
from buckler.training.class_prior import ClassPrior
from buckler.training.noise import Noise

Floats = npt.NDArray[np.float32]
_COPIED_BYTES = 1 << 30  # of texts, in the training rows of all folds that learn at once
AfterEpoch = Callable[[int, float, float], None]
OnEpoch = Callable[[str, int, float, float], None]
Found = TypeVar("Found")


@dataclass(frozen=True)
class StudentSpec:
    """A student to train, and how its labels are used.

    Attributes
    ----------
    family
        Name of the student family.
    settings
        Settings of the family.
    folds
        Folds of the cross-validation that gives calibration and thresholds.
    seed
        Random seed of folds and students.
    noise
        Treatment of labels that may be wrong.
    threshold_rule
        Negatives on which a target false-positive rate must hold.
    source_balance
        Power of the inverse size of its source in the weight of an event: 0 to 1.
    class_prior
        Shares of the classes that probabilities suppose. Others than those learned serve tasks of
        more than two classes, none of them positive.
    by_time
        True also scores the latest events of each family of sources by a student of older ones.
    """

    family: str = "ngram"
    settings: Mapping[str, object] = field(default_factory=dict)
    folds: int = 5
    seed: int = 0
    noise: Noise = Noise.NONE
    threshold_rule: ThresholdRule = ThresholdRule.UNSEEN
    source_balance: float = 0.0
    class_prior: ClassPrior = ClassPrior.LEARNED
    by_time: bool = False

    def with_settings(self, settings: Mapping[str, object]) -> "StudentSpec":
        """Return the same with further settings of the family."""
        return replace(self, settings={**self.settings, **settings})

    def new_student(self, epochs: int | None = None) -> Student:
        """Return an untrained student; for so many epochs, where they are given."""
        settings = {**self.settings, "seed": self.seed}
        if epochs is not None:
            settings["epochs"] = epochs
        return get_student(self.family, settings)

    def balance(self, events: Dataset) -> Dataset:
        """Return labeled events with the weights that `source_balance` asks for."""
        return balance_sources(events, self.source_balance) if self.source_balance else events


@dataclass(frozen=True)
class OutOfFold:
    """Answers of students on events of groups that they did not see in training.

    Attributes
    ----------
    logits
        float32 [n, 1] or [n, classes], not calibrated.
    epochs
        Number of epochs that served best.
    students
        Student of each fold, which it did not see; empty where they were not kept.
    """

    logits: Floats
    epochs: int
    students: list[Student] = field(default_factory=list)

    def probabilities(self, labels: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """Return float64 [n, classes], calibrated on these labels."""
        return probabilities_of(calibrate(self.logits, fit_calibration(self.logits, labels)))

    def save(self, path: Path) -> None:
        """Write logits and epochs to an .npz file."""
        np.savez(path, logits=self.logits, epochs=self.epochs)

    @staticmethod
    def load(path: Path) -> "OutOfFold":
        """Read what `save` wrote; the students are not kept."""
        with np.load(path, allow_pickle=False) as file:
            return OutOfFold(file["logits"], int(file["epochs"]))


def cross_validate(
    events: Dataset,
    spec: StudentSpec,
    *,
    additional: Dataset | Sequence[Dataset] | None = None,
    on_epoch: OnEpoch | None = None,
) -> OutOfFold:
    """Train a student without each fold in turn and let it score the fold.

    Parameters
    ----------
    events
        Labeled events.
    spec
        Student to train.
    additional
        Examples that help to train: the same for all folds, or one dataset for each fold. Examples
        that a student annotated must be one dataset for each fold, from a student that did not see
        the fold. Otherwise they carry the fold's own labels into its training.
    on_epoch
        Called after each epoch with the fold, the epoch and both losses.

    Raises
    ------
    InputError
        If a class of the task has no example, or the groups are too few for the folds.
    """
    task, n_classes = events.task, len(events.task.classes)
    check_classes(events.labels, task)
    events = spec.balance(events)
    fold_of = assign_folds(events, spec.folds, spec.seed)

    def train(fold: int, after_epoch: AfterEpoch) -> tuple[npt.NDArray[np.intp], Floats, Student]:
        """Return the rows of a fold, their logits, and the student that did not see them."""
        held_out = np.flatnonzero(fold_of == fold)
        training, watched = events.take(np.flatnonzero(fold_of != fold)), events.take(held_out)
        if additional is not None:
            own = additional if isinstance(additional, Dataset) else additional[fold]
            apart = own.take(apart_from(own, watched))
            watches = _stopping_rows(apart, fold, spec.folds)
            training = Dataset.concat([training, apart.take(np.flatnonzero(~watches))])
            watched = Dataset.concat([watched, apart.take(np.flatnonzero(watches))])
        student = spec.new_student()
        student.fit(training, watched, after_epoch)
        return held_out, student.predict_logits(events.texts.take(held_out)), student

    logits = np.zeros((len(events), 1 if n_classes == 2 else n_classes), np.float32)
    students: list[Student] = []
    for held_out, found, student in train_side_by_side(events, spec, train, on_epoch):
        logits[held_out] = found
        students.append(student)
    best_epochs = [student.best_epoch_ for student in students]
    return OutOfFold(logits, max(1, round(float(np.median(best_epochs)))), students)


def train_side_by_side(
    events: Dataset,
    spec: StudentSpec,
    train: Callable[[int, AfterEpoch], Found],
    on_epoch: OnEpoch | None,
) -> list[Found]:
    """Return what `train` makes of each fold, in order; several folds train at once.

    Parameters
    ----------
    events, spec
        Events to learn, and the students.
    train
        Function that trains the student of a fold, and calls its second argument after each epoch.
    on_epoch
        Called after each epoch with the fold, the epoch and both losses.
    """
    stopped = threading.Event()

    def work(fold: int) -> Found:
        listen = epoch_listener(on_epoch, fold, spec.folds)

        def after_epoch(epoch: int, loss: float, validation_loss: float) -> None:
            if stopped.is_set():
                raise _FoldStoppedError
            if listen is not None:
                listen(epoch, loss, validation_loss)

        return train(fold, after_epoch)

    with ThreadPoolExecutor(_folds_at_once(spec, events)) as pool:
        try:
            return list(pool.map(work, range(spec.folds)))
        finally:  # where one fails, the others need not learn to the end
            stopped.set()
            pool.shutdown(cancel_futures=True)


class _FoldStoppedError(Exception):
    """Another fold failed, or the user stopped."""


def _folds_at_once(spec: StudentSpec, events: Dataset) -> int:
    """Return how many folds learn side by side: as many as cores and memory bear."""
    threads = spec.new_student().fit_threads
    if not threads:
        return 1
    copies = _COPIED_BYTES // max(1, len(events.texts.data))
    return max(1, min(spec.folds, count_cores() // threads, copies))


def _stopping_rows(additional: Dataset, fold: int, folds: int) -> npt.NDArray[np.bool_]:
    """Return the additional examples that a fold's student only watches, to know when to stop.

    A teacher has often seen the labels, and its annotations on the pool repeat them; held-out
    labels then say that one epoch is enough. Its annotations on events that the student did not see
    show how well the student has learned from it. Synthetic examples never count: no student should
    stop where it knows them.
    """
    fold_of = (draw_groups(additional, b"stopping") * folds).astype(np.intp)
    return np.asarray((fold_of == fold) & (additional.sources != SYNTHETIC_EXAMPLE))


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
    first = np.zeros(len(unique), np.intp)
    first[inverse[::-1]] = np.arange(len(codes))[::-1]
    salt = seed.to_bytes(8, "little", signed=True)
    keys = [blake2b(events.ids[row], digest_size=8, salt=salt).digest() for row in first]
    order = sorted(range(len(unique)), key=lambda g: (-counts[g], keys[g]))
    sizes = np.zeros(folds, np.int64)
    fold_of = np.zeros(len(unique), np.intp)
    for group in order:
        fold = int(sizes.argmin())
        fold_of[group] = fold
        sizes[fold] += counts[group]
    return fold_of[inverse]


def check_classes(labels: npt.NDArray[np.int32], task: Task) -> None:
    """Raise InputError unless there are rows of each positive class, and of another class."""
    if not len(labels):
        raise InputError("no row has a label; name the label column", field="label_column")
    counts = np.bincount(labels, minlength=len(task.classes))
    missing = [name for name, n in zip(task.class_names, counts, strict=True) if n == 0]
    unseen = [name for name in missing if name in task.positive]
    if unseen or len(missing) >= len(task.classes) - 1:
        name = (unseen or missing)[0]
        raise InputError(
            f"training needs rows of more than one class and of each positive class; none of the "
            f"{len(labels):,} rows is {name!r}; add some, or take the class out of the task",
            field="label_column",
        )


def epoch_listener(on_epoch: OnEpoch | None, fold: int, folds: int) -> AfterEpoch | None:
    """Return a listener for one student, which adds the name of the fold."""
    if on_epoch is None:
        return None
    name = f"fold {fold + 1}/{folds}" if fold < folds else "all rows"
    return lambda epoch, loss, validation_loss: on_epoch(name, epoch, loss, validation_loss)


def calibrate(logits: Floats, calibration: Calibration) -> Floats:
    """Apply a calibration to logits."""
    return np.asarray(calibration.slope * logits + calibration.shift, np.float32)
