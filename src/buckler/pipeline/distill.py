"""Stage that distills a teacher over the pool, and the examples beside the training rows."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from buckler.attacks import get_attacks, get_augmentations
from buckler.dataset import Dataset
from buckler.dataset.splits import deduplicate, unlike
from buckler.errors import InputError
from buckler.labels import LabelStore, open_existing
from buckler.pipeline.prepare import (
    ReadSources,
    Sources,
    Split,
    TrainingAndTest,
    ask_teacher,
    merge_annotations,
)
from buckler.pipeline.recipe import AnalystLabelsSection, AugmentationSection, LabelsSection, Recipe
from buckler.pipeline.stages import Result, Stage, StageRunner, Summary
from buckler.pipeline.synthesis_stage import SyntheticAddition
from buckler.tasks import Task
from buckler.training.augmentation import augment
from buckler.training.cross_validation import OutOfFold, StudentSpec
from buckler.training.distillation import (
    Distillation,
    calibrate_teacher,
    distill,
    distill_jointly,
    fit_teacher_calibration,
)
from buckler.training.targets import (
    AnalystLabels,
    annotations_on,
    read_analyst_labels,
    split_analyst_labels,
    with_file_labels,
)

ANNOTATED = "with_annotations"  # in the summary: events of the pool with an annotation

# --- examples beside the training rows ----------------------------------------------------------


@dataclass(frozen=True)
class SplitAnalystLabels(Stage[AnalystLabels], name="analyst-labels", version=1):
    """Splits the events that analysts labeled into those to learn and those that measure."""

    sources: Result[Sources]
    annotations: str
    hold_out: float
    store: LabelStore = field(compare=False)
    task: Task

    def work(self, folder: Path) -> tuple[AnalystLabels, Summary]:  # noqa: ARG002
        """Split the labeled events by group."""
        events = read_analyst_labels(self.store, self.task)
        test = self.sources.output.test
        found = split_analyst_labels(events, [] if test is None else [test], self.hold_out)
        n_training, n_held_out = len(found.training), len(found.held_out)
        return found, {
            "labeled": len(events),
            "training": n_training,
            "held_out": n_held_out,
            "too_like_a_test": len(events) - n_training - n_held_out,
        }


def split_labels_of_analysts(
    runner: StageRunner, section: AnalystLabelsSection, sources: Result[Sources]
) -> Result[AnalystLabels]:
    """Run the stage that splits the labels of analysts."""
    with open_existing(section.store) as store:
        digest = store.digest(runner.task)
        return runner.run(SplitAnalystLabels(sources, digest, section.hold_out, store, runner.task))


@dataclass(frozen=True)
class Additions:
    """Examples beside the labeled training rows, each with weights.

    Attributes
    ----------
    analyst_labels
        Events that analysts labeled. They count for neither calibration nor thresholds, because
        they were chosen for being hard.
    synthesis
        Synthetic examples, if their trial found a gain.
    augmentation
        Settings of attacked copies of training events.
    """

    analyst_labels: Result[AnalystLabels] | None
    analyst_weight: float
    synthesis: Result[SyntheticAddition] | None
    synthetic_weight: float
    augmentation: AugmentationSection | None

    @staticmethod
    def of(
        recipe: Recipe,
        analyst_labels: Result[AnalystLabels] | None,
        synthesis: Result[SyntheticAddition] | None,
    ) -> "Additions":
        """Return the additions that a recipe names."""
        return Additions(
            analyst_labels,
            1.0 if recipe.analyst_labels is None else recipe.analyst_labels.weight,
            synthesis,
            1.0 if recipe.synthesis is None else recipe.synthesis.weight,
            recipe.augmentation,
        )

    def examples(self, training: Dataset, seed: int) -> list[Dataset]:
        """Return the examples, in memory only; those of one kind are one dataset."""
        found: list[Dataset | None] = []
        if self.analyst_labels is not None:
            found.append(self.analyst_labels.output.training.with_weights(self.analyst_weight))
        if self.synthesis is not None:
            found.append(self.synthesis.output.examples(self.synthetic_weight))
        if self.augmentation is not None:
            section, medium = self.augmentation, training.task.medium
            attacks = get_augmentations(section.attacks, medium)
            variations = get_attacks(section.variations, medium)
            copies = augment(training, attacks, section.share, seed, copies=section.copies)
            others = augment(training, variations, section.variation_share, seed, for_benign=True)
            found += [
                None if part is None else part.with_weights(section.weight * part.weights)
                for part in (copies, others)
            ]
        return [part for part in found if part is not None and len(part)]


# --- distill ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DistilledPool:
    """Events of the pool to learn, with the targets of a teacher.

    Attributes
    ----------
    examples
        Events with targets and weights.
    out_of_fold
        Out-of-fold answers on the labeled events, where a student helped to annotate the pool.
    """

    examples: Dataset
    out_of_fold: OutOfFold | None

    def save(self, folder: Path) -> None:
        """Write everything into a folder."""
        self.examples.save(folder / "examples.arrow")
        if self.out_of_fold is not None:
            self.out_of_fold.save(folder / "out-of-fold.npz")

    @classmethod
    def load(cls, folder: Path, task: Task) -> "DistilledPool":
        """Read what `save` wrote."""
        logits = folder / "out-of-fold.npz"
        return cls(
            Dataset.load(folder / "examples.arrow", task),
            OutOfFold.load(logits) if logits.exists() else None,
        )


@dataclass(frozen=True)
class DistillPool(Stage[DistilledPool], name="distill", version=2):
    """Turns annotations on the pool into training examples.

    Events of the pool that share a group or a near-duplicate with the test rows are left out, and
    so are those that are among the labeled ones.
    """

    sources: Result[Sources]
    split: Result[TrainingAndTest]
    labeled: Result[Sources] | None
    additions: Additions | None
    settings: Distillation
    labels: LabelsSection = field(compare=False)  # they count in the key of `labeled`
    student: StudentSpec

    @staticmethod
    def of(
        recipe: Recipe,
        sources: Result[Sources],
        split: Result[TrainingAndTest],
        labeled: Result[Sources] | None,
        additions: Additions | None,
    ) -> "DistillPool":
        """Return the stage for a recipe with a pool.

        Raises
        ------
        InputError
            If the recipe names no pool or no label store.
        """
        if recipe.pool is None or recipe.labels is None:
            raise InputError("the pool has no teacher: name a label store in [labels]")
        return DistillPool(
            sources,
            split,
            labeled,
            additions,
            recipe.pool.distill,
            recipe.labels,
            recipe.student.spec,
        )

    def work(self, folder: Path) -> tuple[DistilledPool, Summary]:  # noqa: ARG002
        """Merge the annotations, calibrate the teacher if asked, and distill."""
        training, pool = self.split.output.training, self.sources.output.require("pool")
        pool = deduplicate(pool.without_labels(), near=False).events
        summary: Summary = {"pool_rows": len(pool)}
        pool = pool.take(unlike(pool, self.split.output.test))
        labeled = set(training.ids)
        pool = pool.take(np.flatnonzero([i not in labeled for i in pool.ids]))
        summary["like_test_or_labeled"] = int(summary["pool_rows"]) - len(pool)
        if not len(pool):
            raise InputError(
                "no event of the pool is left: all are among the training or test events"
            )
        how = self.labels.merge, self.labels.leave_out
        with open_existing(self.labels.store) as store:
            annotations = annotations_on(pool, store, *how)
            if self.settings.calibrate:
                known = with_file_labels(training, self.sources.output.require("train"))
                scale = fit_teacher_calibration(annotations_on(known, store, *how), known.labels)
                annotations = calibrate_teacher(annotations, scale)
                summary["calibrated"] = "too few labels" if scale is None else round(scale.slope, 3)
        examples = distill(pool, annotations, self.settings)
        summary[ANNOTATED], out_of_fold = len(examples), None
        if not len(examples):
            raise InputError("the label store has no annotation of any event of the pool")
        if self.settings.with_student:
            others = []
            if self.additions is not None:
                others = self.additions.examples(training, self.student.seed)
            examples, out_of_fold = distill_jointly(
                training,
                pool,
                annotations,
                self.settings,
                self.student,
                Dataset.concat(others) if others else None,
            )
        summary["additional_examples"] = len(examples)
        return DistilledPool(examples, out_of_fold), summary


def prepare_examples(
    recipe: Recipe, runner: StageRunner
) -> tuple[TrainingAndTest, DistilledPool | None]:
    """Run the stages of a recipe up to its training; `extra_examples` are apart.

    Returns
    -------
    tuple
        Training and test events with the targets of the recipe's annotations, and what the student
        learns of the pool; None where the recipe has no pool.
    """
    sources = runner.run(ReadSources.of(recipe, runner.task, None))
    ask_teacher(runner, recipe, sources)
    labeled = merge_annotations(runner, recipe, sources)
    split = runner.run(Split(sources, labeled, None, recipe.split, recipe.student.seed))
    if recipe.pool is None:
        return split.output, None
    pool = DistillPool.of(recipe, sources, split, labeled, None)
    return split.output, runner.run(pool).output


def extra_examples(recipe: Recipe, pool: DistilledPool | None, training: Dataset) -> Dataset | None:
    """Return what the student learns beside the labeled events: the pool, and changed copies.

    Synthetic examples and labels of analysts are left out.
    """
    parts = [] if pool is None else [pool.examples]
    parts += Additions.of(recipe, None, None).examples(training, recipe.student.seed)
    return Dataset.concat(parts) if parts else None
