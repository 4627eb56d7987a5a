"""Trains and calibrates a student; calibration and thresholds come from rows it did not see.

The training rows are cut into folds by group. A student is trained without each fold and scores it.
All these out-of-fold logits together give the calibration and the thresholds. The final student is
trained on all rows, for the number of epochs that served best on the folds. So no row is wasted,
and a threshold for few false positives rests on every negative that there is.
"""

from dataclasses import dataclass, field

import numpy as np

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.evaluation.calibration import (
    NONE,
    Calibration,
    CalibrationCurve,
    choose_curve,
    fit_calibration,
    least_probabilities,
    probabilities_of,
)
from buckler.evaluation.metrics import Threshold, choose_thresholds
from buckler.students import Student
from buckler.tasks import Task
from buckler.training.cross_validation import (
    OnEpoch,
    OutOfFold,
    StudentSpec,
    calibrate,
    check_classes,
    cross_validate,
    epoch_listener,
)
from buckler.training.noise import treat_noise


@dataclass(frozen=True)
class FittedStudent:
    """A trained, calibrated student, and the data that it rests on.

    Attributes
    ----------
    task
        Task that it was trained for.
    student
        Student that was trained on all rows; the calibration is already in its weights.
    calibration, thresholds
        Calibration and thresholds from the out-of-fold logits.
    n_rows, n_additional, n_groups
        Labeled rows, additional examples and groups of the labeled rows.
    n_suspect
        Rows whose label is probably wrong, by the treatment of noise.
    epochs
        Passes over the data.
    curve
        Isotonic or beta calibration behind the first one, where that helps.
    conformal
        Error rate -> probability that a class needs to be in the prediction set.
    """

    task: Task
    student: Student
    calibration: Calibration
    thresholds: list[Threshold]
    n_rows: int
    n_additional: int
    n_groups: int
    n_suspect: int
    epochs: int
    curve: CalibrationCurve = NONE
    conformal: dict[float, float] = field(default_factory=dict)

    @property
    def threshold_by_fpr(self) -> dict[float, float]:
        """Target false-positive rate -> threshold, where one could be chosen."""
        return {t.target_fpr: t.value for t in self.thresholds if t.value is not None}


def fit_student(
    events: Dataset,
    spec: StudentSpec,
    *,
    additional: Dataset | None = None,
    out_of_fold: OutOfFold | None = None,
    on_epoch: OnEpoch | None = None,
) -> FittedStudent:
    """Train, calibrate and choose thresholds on labeled events.

    Parameters
    ----------
    events
        Events; unlabeled ones are left out.
    spec
        Student to train. With a treatment of noise, rows whose label is probably wrong count for
        neither calibration nor thresholds: a few wrong labels among the negatives make a threshold
        for few false positives far too strict.
    additional
        Examples that help to train; calibration and thresholds rest on labeled events alone.
    out_of_fold
        Out-of-fold answers on these very events, where they are known already. They must be given
        if a student annotated some of the additional examples.
    on_epoch
        Called after each epoch with the fold, the epoch and both losses.

    Raises
    ------
    InputError
        If a class of the task has no example, or the groups are too few for the folds.
    """
    task = events.task
    rows = np.flatnonzero(events.labels >= 0)
    if len(rows) < len(events):
        events = events.take(rows)
    if out_of_fold is None:
        out_of_fold = cross_validate(events, spec, additional=additional, on_epoch=on_epoch)
    elif len(out_of_fold.logits) != len(events):
        raise InputError("the out-of-fold logits are not those of the labeled events")
    treated = treat_noise(
        spec.noise, out_of_fold.probabilities(events.labels), events.labels, events.targets
    )
    rows = np.flatnonzero(treated.weights > 0)
    check_classes(events.labels[rows], task)
    examples = events.with_targets(treated.targets).with_weights(treated.weights).take(rows)
    if additional is not None:
        examples = Dataset.concat([examples, additional])
    student = spec.new_student(out_of_fold.epochs)
    student.fit(examples, None, epoch_listener(on_epoch, spec.folds, spec.folds))

    sure = np.flatnonzero(~treated.suspect)
    labels, logits = events.labels[sure], out_of_fold.logits[sure]
    calibration = fit_calibration(logits, labels)
    student.rescale(calibration.slope, calibration.shift)
    probabilities = probabilities_of(calibrate(logits, calibration)).astype(np.float32)
    curve = NONE
    if len(task.classes) == 2:
        rng, groups = np.random.default_rng(spec.seed), events.group_codes()[sure]
        curve = choose_curve(probabilities[:, 1], labels == 1, groups, rng)
        second = curve(probabilities[:, 1])
        probabilities = np.stack([1 - second, second], axis=1)
    positive = [task.class_names.index(name) for name in task.positive]
    thresholds: list[Threshold] = []
    if positive:
        scores = probabilities[:, positive].sum(axis=1)
        thresholds = choose_thresholds(scores, np.isin(labels, positive))
    return FittedStudent(
        task=task,
        student=student,
        calibration=calibration,
        thresholds=thresholds,
        n_rows=len(rows),
        n_additional=0 if additional is None else len(additional),
        n_groups=len(np.unique(events.group_codes())),
        n_suspect=int(treated.suspect.sum()),
        epochs=out_of_fold.epochs,
        curve=curve,
        conformal=least_probabilities(probabilities, labels),
    )
