"""Verifiers: a teacher, or a student of the real labels, that confirms the class of an example."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.evaluation.calibration import probabilities_of
from buckler.synthesis.two_sample import new_classifier
from buckler.teachers.teacher import Teacher

_EPOCHS = 8


@dataclass(frozen=True)
class Verifier:
    """A source of class probabilities for synthetic examples.

    Attributes
    ----------
    name
        Name in reports.
    least_probability
        Least probability of the example's class.
    probabilities
        Function from events to float64 [n, classes]; a row of NaN where there is no answer.
    """

    name: str
    least_probability: float
    probabilities: Callable[[Dataset], npt.NDArray[np.float64]]


def teacher_verifier(teacher: Teacher, n_classes: int) -> Verifier:
    """Return a verifier that asks a teacher."""

    def probabilities(events: Dataset) -> npt.NDArray[np.float64]:
        silent = (float("nan"),) * n_classes
        rows = [silent if a is None else a.probabilities for a in teacher.annotate(events)]
        return np.array(rows, np.float64).reshape(-1, n_classes)

    return Verifier(teacher.annotator.name, 0.5, probabilities)


def student_verifier(real: Dataset, seed: int = 0) -> Verifier:
    """Return a verifier that learns the real labels.

    A student knows nothing of new kinds of events, so its limit is low: it only rejects examples
    that real events plainly contradict.

    Raises
    ------
    InputError
        If the labels are of one class only.
    """
    rows = np.flatnonzero(real.labels >= 0)
    if len(np.unique(real.labels[rows])) < 2:
        raise InputError(
            "a student verifier needs real events of two classes; do without a verifier",
            field="verifier",
        )
    known, n_classes = real.take(rows), len(real.task.classes)
    # Equal class weights: a rare class is as likely as any among synthetic examples.
    counts = np.bincount(known.labels, minlength=n_classes)
    weights = (len(known) / (n_classes * np.maximum(counts, 1)))[known.labels].astype(np.float32)
    student = new_classifier(real.task, _EPOCHS, seed)
    student.fit(known.with_weights(weights))
    return Verifier(
        "a student of the real labels",
        0.02,
        lambda events: probabilities_of(student.predict_logits(events.texts)),
    )
