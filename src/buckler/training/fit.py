"""Trains a student with cross-fitting: thresholds and calibration from rows it did not see.

The training rows are cut into folds by group. A student is trained without each fold and judges
it; all these held-out logits together give the calibration and the thresholds. The final student
is trained on all rows, for as many passes as served best on the folds. So no row is wasted, and a
threshold for few false positives rests on every negative that there is.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.evaluation.calibration import Calibration, fit_calibration, probabilities_of
from buckler.evaluation.calibration_curve import NONE, CalibrationCurve, choose_curve
from buckler.evaluation.prediction_sets import least_probabilities
from buckler.evaluation.thresholds import Threshold, choose_thresholds
from buckler.students import Student
from buckler.training.cross_validation import (
    CrossFitted,
    OnEpoch,
    calibrated,
    check_classes,
    cross_fit,
    named,
    new_student,
)
from buckler.training.noise import Noise, handle_noise


@dataclass(frozen=True)
class Fitted:
    """A trained, calibrated student, and what its held-out rows said.

    Attributes
    ----------
    student
        Trained on all rows; the calibration is already in its weights.
    calibration, thresholds
        From the held-out logits.
    calibration curve
        Isotonic or beta calibration behind it, where that helps.
    conformal
        Error rate -> the probability that a class needs to be in the prediction set.
    n_rows, n_extra, n_groups
        What it was trained on: labeled rows, extra rows, and groups of the labeled.
    n_suspect
        Rows whose label is probably wrong, by the method for noise.
    epochs
        Passes over the data.
    """

    student: Student
    calibration: Calibration
    thresholds: list[Threshold]
    n_rows: int
    n_extra: int
    n_groups: int
    n_suspect: int
    epochs: int
    curve: CalibrationCurve = NONE
    conformal: dict[float, float] = field(default_factory=dict)

    @property
    def curve_points(self) -> tuple[tuple[float, ...], ...]:
        """Of the calibration curve, as a bundle keeps them."""
        return self.curve.curve_points


def fit_student(
    events: Dataset,
    family: str,
    settings: dict[str, Any],
    *,
    extra: Dataset | None = None,
    crossed: CrossFitted | None = None,
    noise: Noise = Noise.NONE,
    folds: int = 5,
    seed: int = 0,
    on_epoch: OnEpoch | None = None,
) -> Fitted:
    """Train, calibrate and choose thresholds on labeled events.

    `crossed` is what cross-fitted students say of these very events, where that is known already;
    it must be given if `extra` holds pseudo-labels of a student. `extra` examples help to train;
    calibration and thresholds rest on labeled events alone. With a `noise` method, rows whose
    label is probably wrong are no ground for calibration and thresholds either: a few wrong
    labels among the negatives make a threshold for few false positives far too strict.

    Raises
    ------
    InputError
        If a class of the task has no example, or the groups are too few for the folds.
    """
    task = events.task
    rows = np.flatnonzero(events.labels >= 0)
    if len(rows) < len(events):
        events = events.take(rows)
    if crossed is None:
        crossed = cross_fit(
            events, family, settings, extra=extra, folds=folds, seed=seed, on_epoch=on_epoch
        )
    elif len(crossed.logits) != len(events):
        raise InputError("the cross-fitted logits are not those of the labeled events")
    handled = handle_noise(
        noise,
        crossed.probabilities(events.labels),
        events.labels,
        events.targets,
    )
    counted = np.flatnonzero(handled.weights > 0)
    examples = events.with_targets(handled.targets).with_weights(handled.weights).take(counted)
    check_classes(events.labels[counted], task)
    if extra is not None:
        examples = Dataset.concat([examples, extra])
    final = new_student(family, {**settings, "seed": seed, "epochs": crossed.epochs}, task)
    final.fit(examples, None, named(on_epoch, folds, folds))
    sure = np.flatnonzero(~handled.suspect)
    labels, logits = events.labels[sure], crossed.logits[sure]
    calibration = fit_calibration(logits, labels)
    final.rescale(calibration.slope, calibration.shift)
    probabilities = probabilities_of(calibrated(logits, calibration)).astype(np.float32)
    curve = NONE
    if len(task.classes) == 2:
        rng = np.random.default_rng(seed)
        groups = events.group_codes()[sure]
        curve = choose_curve(probabilities[:, 1], labels == 1, groups, rng)
        second = curve(probabilities[:, 1])
        probabilities = np.stack([1 - second, second], axis=1)
    positive = [i for i, name in enumerate(task.classes) if name in task.positive]
    thresholds: list[Threshold] = []
    if positive:
        score = probabilities[:, positive].sum(axis=1)
        thresholds = choose_thresholds(score, np.isin(labels, positive))
    return Fitted(
        final,
        calibration,
        thresholds,
        len(counted),
        0 if extra is None else len(extra),
        len(np.unique(events.group_codes())),
        int(handled.suspect.sum()),
        crossed.epochs,
        curve,
        least_probabilities(probabilities, labels),
    )
