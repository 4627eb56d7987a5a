"""From a teacher's annotations to what a student learns: calibrated, softened, mixed with labels.

After Hinton et al. 2015. A student of any family learns from class probabilities; so distillation
is a matter of its targets: the teacher's probabilities at a temperature, and the hard labels where
there are any.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from buckler.dataset import Dataset
from buckler.evaluation.calibration import Calibration, fit_calibration, probabilities_of

Floats = npt.NDArray[np.float64]
_TINY = 1e-6
_MIN_CALIBRATION_ROWS = 30


class Distillation(BaseModel):
    """How a student learns from a teacher.

    Attributes
    ----------
    temperature
        Above 1 softens the teacher's probabilities, below 1 sharpens them.
    weight
        Of an event without a label, beside one of a labeled event.
    min_confidence
        Annotations on unlabeled events whose likeliest class has less are left out.
    calibrate
        Fit the annotations' probabilities to the labels of the files first, where thirty events have
        both. Only for a teacher that did not learn from these labels itself.
    with_student
        Join the teacher's word with that of the student itself, and teach the next one by both.
    """

    model_config = ConfigDict(extra="forbid")

    temperature: float = Field(default=1.0, gt=0, le=20)
    weight: float = Field(default=0.5, gt=0, le=100)
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    calibrate: bool = False
    with_student: bool = False


@dataclass(frozen=True)
class Taught:
    """What a student learns from.

    Attributes
    ----------
    targets
        float32 [labeled, classes].
    extra
        The pool, with the teacher's annotations.
    """

    targets: npt.NDArray[np.float32]
    extra: Dataset


def distil(
    labeled: Dataset,
    pool: Dataset,
    teacher_on_labeled: Floats | None,
    teacher_on_pool: Floats,
    settings: Distillation,
    *,
    label_share: float = 0.5,
) -> Taught:
    """Make targets.

    Parameters
    ----------
    labeled
        Events with labels.
    pool
        Events without.
    teacher_on_labeled, teacher_on_pool
        float64 [n, classes], calibrated (see `calibrate_teacher`); NaN rows where it is silent.
    label_share
        Of the target of an event that has both a label and the teacher's annotation: 1 is the label
        alone, 0 the teacher alone.
    """
    targets = labeled.targets.copy()
    if teacher_on_labeled is not None:
        spoke = np.isfinite(teacher_on_labeled).all(axis=1)
        soft = softened(teacher_on_labeled[spoke], settings.temperature)
        mixed = label_share * targets[spoke] + (1 - label_share) * soft
        targets[spoke] = mixed.astype(np.float32)
    confident = np.nan_to_num(teacher_on_pool).max(axis=1) >= max(settings.min_confidence, _TINY)
    rows = np.flatnonzero(confident)
    said = softened(teacher_on_pool[rows], settings.temperature).astype(np.float32)
    extra = pool.take(rows).with_targets(said).with_weights(settings.weight)
    return Taught(targets, extra)


def softened(p: Floats, temperature: float) -> Floats:
    """Return probabilities at a temperature: powers of 1 / temperature, scaled to 1."""
    z = np.log(np.maximum(p, _TINY)) / temperature
    return probabilities_of(z)


def calibrate_teacher(on_labeled: Floats, labels: npt.NDArray[np.int32]) -> Calibration | None:
    """Fit a teacher's probabilities to labels that it did not learn from; None if too few."""
    rows = np.flatnonzero(np.isfinite(on_labeled).all(axis=1) & (labels >= 0))
    if len(rows) < _MIN_CALIBRATION_ROWS or len(np.unique(labels[rows])) < 2:
        return None
    return fit_calibration(_logits(on_labeled[rows]), labels[rows])


def calibrated_teacher(p: Floats, calibration: Calibration | None) -> Floats:
    """Apply what `calibrate_teacher` found."""
    if calibration is None:
        return p
    z = _logits(p).astype(np.float64) * calibration.slope + calibration.shift
    return probabilities_of(z)


def pooled(teachers: list[Floats], weights: list[float] | None = None) -> Floats:
    """Join several teachers: the weighted mean of their log-probabilities where they speak.

    Teachers whose errors differ are worth more together; the geometric mean asks that they agree.
    A row on which none speaks is NaN.
    """
    shares = np.array(weights or [1.0] * len(teachers))
    spoke = np.stack([np.isfinite(p).all(axis=1) for p in teachers])
    total = (spoke * shares[:, None]).sum(axis=0)
    logs = sum(
        share * np.where(s[:, None], np.log(np.clip(p, _TINY, 1)), 0.0)
        for share, s, p in zip(shares, spoke, teachers, strict=True)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        z = logs / total[:, None]
    e = np.exp(
        z - np.nanmax(np.where(np.isfinite(z), z, -np.inf), axis=1, keepdims=True, initial=-1e9)
    )
    p = e / e.sum(axis=1, keepdims=True)
    p[total == 0] = np.nan
    return np.asarray(p)


def _logits(p: Floats) -> npt.NDArray[np.float32]:
    """Log-odds of the second class for two classes, else log-probabilities."""
    logs = np.log(np.maximum(p, _TINY))
    if p.shape[1] == 2:
        logs = logs[:, 1:] - logs[:, :1]
    return logs.astype(np.float32)
