"""The stage that trains the student, and the bundle that comes of it."""

import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from buckler.bundle.reader import VECTORS, read_bundle
from buckler.bundle.writer import write_bundle
from buckler.dataset import Dataset
from buckler.evaluation.evaluation import Evaluation
from buckler.pipeline.evaluate import headline
from buckler.pipeline.recipe import Recipe
from buckler.pipeline.stages import StageOutput
from buckler.pipeline.synthesize import proof_summary
from buckler.pipeline.teach import Lesson
from buckler.runtime import Scorer, load
from buckler.tasks import Task
from buckler.training.auxiliary import Learned
from buckler.training.cross_validation import OnEpoch
from buckler.training.fit import fit_student
from buckler.training.packaging import choose_deployed, write_fitted


def train_student(
    folder: Path,
    split: StageOutput,
    taught: StageOutput | None,
    made: StageOutput | None,
    synthetic_examples: Dataset | None,
    recipe: Recipe,
    task: Task,
    on_epoch: OnEpoch | None,
    annotations: str | None,
) -> dict[str, Any]:
    """Fit the student and write its bundle; return the summary of the stage."""
    student = recipe.student
    checkpoints = recipe.output / "checkpoints"
    lesson = Lesson(None, student.settings, None, {})
    if taught is not None:
        lesson = Lesson.load(taught.folder, task)
    extra = lesson.extra
    if synthetic_examples is not None:
        more = [] if extra is None else [extra]
        extra = Dataset.concat([*more, synthetic_examples])
    fitted = fit_student(
        Dataset.load(split.folder / "train.arrow", task),
        student.family,
        {**lesson.settings, "checkpoints": str(checkpoints)},
        extra=extra,
        crossed=lesson.crossed,
        folds=student.folds,
        noise=student.noise,
        seed=student.seed,
        on_epoch=on_epoch,
    )
    shutil.rmtree(checkpoints, ignore_errors=True)
    name = recipe.name or task.name
    thresholds = {t.target_fpr: t.value for t in fitted.thresholds if t.value is not None}
    choose_deployed(thresholds, recipe.evaluation.deployed_fpr)
    write_fitted(
        folder / f"{name}.buckler",
        fitted,
        task,
        deployed_fpr=recipe.evaluation.deployed_fpr,
        provenance={
            "data_digest": split.key,
            "recipe_digest": sha256(recipe.model_dump_json().encode()).hexdigest(),
            "student": f"{student.family} {lesson.settings}, {student.folds} folds, "
            f"seed {student.seed}",
            **({} if annotations is None else {"annotations_digest": annotations}),
            **({} if recipe.teacher is None else {"teacher": recipe.teacher.kind}),
            **({} if made is None else {"synthetic_examples": proof_summary(made.folder)}),
        },
    )
    return {
        "rows": fitted.n_rows,
        "extra_examples": fitted.n_extra,
        "suspect_labels": fitted.n_suspect,
        "epochs": fitted.epochs,
        "thresholds": {f"{k:g}": v for k, v in thresholds.items()},
    }


def bundle_with_metrics(
    source: Path, target: Path, assessment: Evaluation, learned: Learned
) -> Scorer:
    """Write the final bundle: the trained one, with its heads, and its test figures in the card."""
    bundle = read_bundle(source)
    manifest = replace(bundle.manifest, metrics=headline(assessment), auxiliary=learned.heads)
    files = {**bundle.weights, **(learned.files or {}), VECTORS: bundle.entries[VECTORS]}
    write_bundle(target, manifest, files)
    return load(target)
