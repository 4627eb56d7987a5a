"""The stage in which a pool of unlabeled events becomes training examples."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from buckler.dataset import Dataset
from buckler.dataset.dataset import MADE_FROM
from buckler.dataset.splits import deduplicate, unlike
from buckler.errors import InputError
from buckler.labels import open_existing
from buckler.pipeline.recipe import LabelsSection, PoolSection, Recipe, StudentSection
from buckler.synthesis.synthetic_examples import SYNTHETIC_EXAMPLE
from buckler.tasks import Task
from buckler.training.cross_validation import CrossFitted
from buckler.training.distillation import calibrate_teacher, calibrated_teacher, distil
from buckler.training.ensemble_distillation import distil_jointly
from buckler.training.targets import annotations_on, with_file_labels


@dataclass(frozen=True)
class Lesson:
    """What the pool brought.

    Attributes
    ----------
    extra
        Examples; None where the labels alone served best.
    settings
        Of the student that goes with them.
    crossed
        From joint distillation: what cross-fitted students say of the labeled events.
    summary
        To tell.
    """

    extra: Dataset | None
    settings: dict[str, Any]
    crossed: CrossFitted | None
    summary: dict[str, Any]

    def save(self, folder: Path) -> None:
        """Write it into a folder; synthetic examples, which are never stored in this form, are left out."""
        (folder / "student.json").write_text(json.dumps(self.settings), encoding="utf-8")
        if self.crossed is not None:
            np.savez(folder / "crossed.npz", logits=self.crossed.logits, epochs=self.crossed.epochs)
        if self.extra is not None:
            real = np.flatnonzero(self.extra.sources != SYNTHETIC_EXAMPLE)
            self.extra.take(real).without_column(MADE_FROM).save(folder / "extra.arrow")

    @staticmethod
    def load(folder: Path, task: Task) -> "Lesson":
        """Read what `save` wrote."""
        extra = crossed = None
        if (folder / "extra.arrow").exists():
            extra = Dataset.load(folder / "extra.arrow", task)
        if (folder / "crossed.npz").exists():
            with np.load(folder / "crossed.npz", allow_pickle=False) as file:
                crossed = CrossFitted(file["logits"], int(file["epochs"]), [])
        settings = json.loads((folder / "student.json").read_bytes())
        return Lesson(extra, settings, crossed, {})


def teach_stage(
    folder: Path,
    split: Path,
    source: Path,
    recipe: Recipe,
    task: Task,
    synthetic_examples: Dataset | None,
) -> dict[str, Any]:
    """Turn the pool of a recipe into examples, from the folders of earlier stages.

    Raises
    ------
    InputError
        If nothing of the pool is left, or nobody is there to judge it.
    """
    if recipe.pool is None:
        raise InputError("the recipe has no pool")
    rows = Dataset.load(split / "train.arrow", task)
    file_labels = None
    if recipe.pool.distill.calibrate:
        file_labels = with_file_labels(rows, Dataset.load(source / "train.arrow", task))
    lesson = teach(
        rows,
        Dataset.load(split / "test.arrow", task),
        Dataset.load(source / "pool.arrow", task),
        section=recipe.pool,
        labels=recipe.labels,
        student=recipe.student,
        synthetic_examples=synthetic_examples,
        file_labels=file_labels,
    )
    lesson.save(folder)
    return {**lesson.summary, "extra_examples": 0 if lesson.extra is None else len(lesson.extra)}


def teach(
    train: Dataset,
    test: Dataset,
    pool: Dataset,
    *,
    section: PoolSection,
    labels: LabelsSection | None,
    student: StudentSection,
    synthetic_examples: Dataset | None = None,
    file_labels: Dataset | None = None,
) -> Lesson:
    """Turn the pool into examples.

    Events of the pool that share a group or a near-duplicate with the test rows are left out,
    and so are those that are among the labeled ones.

    `file_labels` are the training events with the labels of their files, if a teacher is to be
    calibrated on them.
    `synthetic_examples` stand among what joint distillation learns from; the train stage adds
    them to what is stored.

    Raises
    ------
    InputError
        If nothing of the pool is left, or nobody is there to judge it.
    """
    if labels is None:
        raise InputError("the pool has no teacher: name a label store in [labels]")
    pool = deduplicate(pool.without_labels(), near=False).events
    summary: dict[str, Any] = {"pool_rows": len(pool)}
    pool = pool.take(unlike(pool, test))
    known = set(train.ids)
    ids = pool.ids
    pool = pool.take(np.array([row for row, i in enumerate(ids) if i not in known], np.intp))
    summary["like_test_or_labeled"] = summary["pool_rows"] - len(pool)
    if not len(pool):
        raise InputError("no event of the pool is left: all are among the training or test events")
    with open_existing(labels.store) as store:
        said = annotations_on(pool, store, labels.merge)
        if file_labels is not None:
            on_labeled = annotations_on(file_labels, store, labels.merge)
            scale = calibrate_teacher(on_labeled, file_labels.labels)
            said = calibrated_teacher(said, scale)
            summary["calibrated"] = "too few labels" if scale is None else round(scale.slope, 3)
    taught = distil(train, pool, None, said, section.distill).extra
    summary["with_annotations"] = len(taught)
    if not len(taught):
        raise InputError("the label store has no annotation of any event of the pool")
    if section.distill.with_student:
        extra, crossed = distil_jointly(
            train, pool, said, section.distill, student, synthetic_examples
        )
        return Lesson(extra, student.settings, crossed, summary)
    return Lesson(taught, student.settings, None, summary)
