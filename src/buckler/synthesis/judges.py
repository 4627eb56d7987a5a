"""Who judges synthetic examples at the gate: a teacher, or a student of the real labels."""

import numpy as np
import numpy.typing as npt

from buckler.dataset import Dataset
from buckler.errors import InputError
from buckler.evaluation.calibration import probabilities_of
from buckler.synthesis.classifiers import new_classifier
from buckler.synthesis.filters import Judge
from buckler.teachers.teacher import Teacher

# A student knows nothing of what is new; it only stops what real events plainly contradict.
STUDENT_LIMIT = 0.02
_EPOCHS = 8


def teacher_judge(teacher: Teacher, n_classes: int) -> Judge:
    """Return a judge that asks a teacher; where it is silent, the judge is."""

    def judge(events: Dataset) -> npt.NDArray[np.float64]:
        said = teacher.annotate(events)
        silent = (float("nan"),) * n_classes
        rows = [silent if annotation is None else annotation.probabilities for annotation in said]
        return np.array(rows, np.float64).reshape(-1, n_classes)

    return judge


def student_judge(real: Dataset, seed: int = 0) -> Judge:
    """Return a judge that has learned the real labels.

    Raises
    ------
    InputError
        If they are of one class only.
    """
    rows = np.flatnonzero(real.labels >= 0)
    if len(np.unique(real.labels[rows])) < 2:
        raise InputError(
            "a judge that learns needs real events of two classes; do without a judge",
            field="judge",
        )
    known, n_classes = real.take(rows), len(real.task.classes)
    # Classes weigh alike: what is rare is no less likely among synthetic examples.
    counts = np.bincount(known.labels, minlength=n_classes)
    weights = (len(known) / (n_classes * np.maximum(counts, 1)))[known.labels].astype(np.float32)
    student = new_classifier(real.task, epochs=_EPOCHS, seed=seed)
    student.fit(known.with_weights(weights))
    return lambda events: probabilities_of(student.predict_logits(events.texts))
