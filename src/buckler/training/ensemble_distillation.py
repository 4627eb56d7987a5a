"""Distillation from an ensemble of the teacher and the student itself.

A teacher that errs in another way than the student (an encoder or a language model beside a linear
model) is worth more together with it than alone: on 29 categories the ensemble is one to three
points better than the better of them, and the student learns most of that from the pool.
"""

import numpy as np

from buckler.dataset import Dataset
from buckler.evaluation.calibration import fit_calibration, probabilities_of
from buckler.pipeline.recipe import StudentSection
from buckler.students import Student
from buckler.training.cross_validation import (
    CrossFitted,
    calibrated,
    cross_fit,
    new_student,
)
from buckler.training.distillation import Distillation, Floats, distil, pooled
from buckler.training.noise import handle_noise


def distil_jointly(
    train: Dataset,
    pool: Dataset,
    said: Floats,
    settings: Distillation,
    student: StudentSection,
    others: Dataset | None = None,
) -> tuple[Dataset, CrossFitted]:
    """Let a student judge the pool, join its word with the teacher's, and teach the next one.

    Each fold of the cross-fitting has a first student of its own, which did not see the fold's
    labels; so calibration and thresholds of the second stay honest, as far as the teacher did not
    learn from these labels itself.

    Parameters
    ----------
    said
        float64 [pool, classes]: the teacher's annotations; NaN rows where it is silent.
    others
        Further examples, such as synthetic examples.

    Returns
    -------
    Dataset
        What the second student learns from beside the labels.
    CrossFitted
        What cross-fitted second students say of the labeled events.
    """

    def more(extra: Dataset) -> Dataset:
        return extra if others is None else Dataset.concat([extra, others])

    def fit(extra: Dataset | list[Dataset | None]) -> CrossFitted:
        return cross_fit(
            train,
            student.family,
            student.settings,
            extra=extra,
            folds=student.folds,
            seed=student.seed,
        )

    taught = more(distil(train, pool, None, said, settings).extra)
    first = fit(taught)
    handled = handle_noise(
        student.noise,
        first.probabilities(train.labels),
        train.labels,
        train.targets,
    )
    sure = np.flatnonzero(~handled.suspect)  # a few wrong labels would make it doubt all it says
    scale = fit_calibration(first.logits[sure], train.labels[sure])

    def joint(member: Student) -> Dataset:
        p = probabilities_of(calibrated(member.predict_logits(pool.texts), scale))
        p[~np.isfinite(said).all(axis=1)] = np.nan  # its own word alone teaches it nothing new
        return more(distil(train, pool, None, pooled([said, p]), settings).extra)

    second = fit([joint(member) for member in first.students])
    settings_of_whole = {**student.settings, "seed": student.seed, "epochs": first.epochs}
    whole = new_student(student.family, settings_of_whole, train.task)
    counted = np.flatnonzero(handled.weights > 0)
    examples = train.with_targets(handled.targets).with_weights(handled.weights)
    whole.fit(Dataset.concat([examples.take(counted), taught]))
    return joint(whole), second
