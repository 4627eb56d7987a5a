"""Turns a teacher's annotations on unlabeled events into training examples.

After Hinton et al. 2015. A student of any family learns from class probabilities, so distillation
is a matter of its targets: the teacher's probabilities at a temperature. A teacher that errs in
another way than the student (an encoder or a language model beside a linear model) is worth more
together with it: on 29 categories the ensemble is one to three points better than the better of
them, and the student learns most of that from the pool.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from buckler.dataset import Dataset
from buckler.evaluation.calibration import Calibration, fit_calibration, probabilities_of
from buckler.students import Student
from buckler.training.cross_validation import OutOfFold, StudentSpec, calibrate, cross_validate
from buckler.training.noise import treat_noise

Floats = npt.NDArray[np.float64]
_TINY = 1e-6
_MIN_CALIBRATION_ROWS = 30


class Distillation(BaseModel):
    """Settings of distillation.

    Attributes
    ----------
    temperature
        Above 1 softens the teacher's probabilities, below 1 sharpens them.
    weight
        Weight of an annotated event, beside that of a labeled event.
    min_confidence
        Annotations whose likeliest class has less are left out.
    calibrate
        Fit the annotations to the labels of the files first, where thirty events have both. Only
        for a teacher that did not learn from these labels itself.
    with_student
        Join the teacher's probabilities with those of the student itself, and train the next
        student on both.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(default=1.0, gt=0, le=20)
    weight: float = Field(default=0.5, gt=0, le=100)
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    calibrate: bool = False
    with_student: bool = False


def distill(pool: Dataset, annotations: Floats, settings: Distillation) -> Dataset:
    """Return the annotated events of a pool, with targets and weights.

    Parameters
    ----------
    annotations
        float64 [pool, classes]: the teacher's probabilities; NaN rows where it has none.
    """
    confidence = np.nan_to_num(annotations).max(axis=1)
    rows = np.flatnonzero(confidence >= max(settings.min_confidence, _TINY))
    targets = soften(annotations[rows], settings.temperature).astype(np.float32)
    return pool.take(rows).with_targets(targets).with_weights(settings.weight)


def distill_jointly(
    labeled: Dataset,
    pool: Dataset,
    annotations: Floats,
    settings: Distillation,
    spec: StudentSpec,
    others: Dataset | None = None,
) -> tuple[Dataset, OutOfFold]:
    """Let a first student score the pool, and join its probabilities with the teacher's.

    Each fold has a first student of its own, which did not see the fold's labels. So calibration
    and thresholds of the second student stay honest, as far as the teacher did not learn from
    these labels itself.

    Parameters
    ----------
    annotations
        float64 [pool, classes]: the teacher's probabilities; NaN rows where it has none.
    others
        Further examples that both students learn from, such as synthetic examples.

    Returns
    -------
    Dataset
        Events of the pool that the second student learns from beside the labels.
    OutOfFold
        Out-of-fold answers of second students on the labeled events.
    """

    def with_others(examples: Dataset) -> Dataset:
        return examples if others is None else Dataset.concat([examples, others])

    first_examples = with_others(distill(pool, annotations, settings))
    first = cross_validate(labeled, spec, additional=first_examples)
    treated = treat_noise(spec.noise, first.probabilities(labeled.labels), labeled)
    sure = np.flatnonzero(~treated.suspect)  # a few wrong labels would blur all its probabilities
    calibration = fit_calibration(first.logits[sure], labeled.labels[sure])

    def joint_examples(student: Student) -> Dataset:
        p = probabilities_of(calibrate(student.predict_logits(pool.texts), calibration))
        # Its own answer alone teaches the next student nothing new.
        p[~np.isfinite(annotations).all(axis=1)] = np.nan
        return distill(pool, join([annotations, p]), settings)

    second_examples = [with_others(joint_examples(student)) for student in first.students]
    second = cross_validate(labeled, spec, additional=second_examples)
    whole = spec.new_student(first.epochs)
    whole.fit(Dataset.concat([treated.learned, first_examples]))
    return joint_examples(whole), second


def soften(p: Floats, temperature: float) -> Floats:
    """Return probabilities at a temperature: powers of 1 / temperature, scaled to 1."""
    return probabilities_of(np.log(np.maximum(p, _TINY)) / temperature)


def fit_teacher_calibration(
    annotations: Floats, labels: npt.NDArray[np.int32]
) -> Calibration | None:
    """Fit a teacher's probabilities to labels that it did not learn from; None if too few."""
    rows = np.flatnonzero(np.isfinite(annotations).all(axis=1) & (labels >= 0))
    if len(rows) < _MIN_CALIBRATION_ROWS or len(np.unique(labels[rows])) < 2:
        return None
    return fit_calibration(_logits(annotations[rows]), labels[rows])


def calibrate_teacher(p: Floats, calibration: Calibration | None) -> Floats:
    """Apply the calibration of a teacher, if there is one."""
    if calibration is None:
        return p
    logits = _logits(p).astype(np.float64)
    return probabilities_of(logits * calibration.slope + calibration.shift)


def join(teachers: Sequence[Floats]) -> Floats:
    """Return the mean of several teachers' log-probabilities, as probabilities.

    Teachers whose errors differ are worth more together; the geometric mean asks that they agree.
    A row of one teacher is NaN where it has no annotation; a row that none annotated stays NaN.
    """
    annotated = np.stack([np.isfinite(p).all(axis=1) for p in teachers])
    logs = np.zeros_like(teachers[0])
    for p, known in zip(teachers, annotated, strict=True):
        logs[known] += np.log(np.clip(p[known], _TINY, 1))
    n = annotated.sum(axis=0)
    found = np.full_like(logs, np.nan)
    found[n > 0] = probabilities_of(logs[n > 0] / n[n > 0, None])
    return found


def _logits(p: Floats) -> npt.NDArray[np.float32]:
    """Return log-odds of the second class for two classes, else log-probabilities."""
    logs = np.log(np.maximum(p, _TINY))
    return (logs[:, 1:] - logs[:, :1] if p.shape[1] == 2 else logs).astype(np.float32)
