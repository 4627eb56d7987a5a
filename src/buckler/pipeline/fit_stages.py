"""Stages that fit: the student, baselines to compare with, auxiliary classifiers."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from buckler.dataset import Dataset
from buckler.dataset.splits import deduplicate, unlike
from buckler.pipeline.distill import Additions, DistilledPool
from buckler.pipeline.prepare import Sources, TrainingAndTest
from buckler.pipeline.recipe import Recipe
from buckler.pipeline.stages import Result, Stage, Summary
from buckler.tasks import Task
from buckler.training.auxiliary import AuxiliaryClassifiers, AuxiliarySettings, fit_auxiliary
from buckler.training.cross_validation import OnEpoch, StudentSpec
from buckler.training.fit import fit_student
from buckler.training.noise import Noise
from buckler.training.packaging import BundleParts, bundle_parts
from buckler.training.targets import with_file_labels


@dataclass(frozen=True)
class FitStudent(Stage[BundleParts], name="train", version=5):
    """Trains the student and packs it for a bundle."""

    sources: Result[Sources]
    split: Result[TrainingAndTest]
    distilled: Result[DistilledPool] | None
    additions: Additions | None
    student: StudentSpec
    pretrained: Path | None
    bundle_name: str
    deployed_fpr: float | None
    provenance: dict[str, object] = field(compare=False)
    checkpoints: Path = field(compare=False)
    on_epoch: OnEpoch | None = field(compare=False, default=None)

    @staticmethod
    def of(
        recipe: Recipe,
        task: Task,
        sources: Result[Sources],
        split: Result[TrainingAndTest],
        labeled: Result[Sources] | None,
        distilled: Result[DistilledPool] | None,
        additions: Additions | None,
    ) -> "FitStudent":
        """Return the stage that trains the student of a recipe."""
        spec = recipe.spec
        student = f"{spec.family} {dict(spec.settings)}, {spec.folds} folds, seed {spec.seed}"
        provenance: dict[str, object] = {
            "data_digest": split.key,
            "recipe_digest": sha256(recipe.model_dump_json().encode()).hexdigest(),
            "student": student,
        }
        if labeled is not None:
            provenance["labels_digest"] = labeled.key
        if recipe.teacher is not None:
            provenance["teacher"] = recipe.teacher.kind
        if additions is not None and additions.synthesis is not None:
            provenance["synthetic_examples"] = additions.synthesis.output.trial
        pretrained = spec.settings.get("pretrained")
        return FitStudent(
            sources,
            split,
            distilled,
            additions,
            spec,
            Path(str(pretrained)) if pretrained else None,
            recipe.name or task.name,
            recipe.evaluation.deployed_fpr,
            provenance,
            recipe.output / "checkpoints",
        )

    def work(self, folder: Path) -> tuple[BundleParts, Summary]:  # noqa: ARG002
        """Fit the student on labeled rows and additions."""
        training, additional, out_of_fold = self.split.output.training, [], None
        if self.distilled is not None:
            additional.append(self.distilled.output.examples)
            out_of_fold = self.distilled.output.out_of_fold
        if self.additions is not None:
            additional += self.additions.examples(training, self.student.seed)
        fitted = fit_student(
            training,
            self.student.with_settings({"checkpoints": str(self.checkpoints)}),
            additional=Dataset.concat(additional) if additional else None,
            out_of_fold=out_of_fold,
            own_negatives=self.sources.output.own_negatives,
            on_epoch=self.on_epoch,
        )
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        parts = bundle_parts(
            self.bundle_name,
            fitted,
            deployed_fpr=self.deployed_fpr,
            provenance=self.provenance,
        )
        thresholds = ", ".join(f"{k:g}: {v:.6g}" for k, v in fitted.threshold_by_fpr.items())
        return parts, {
            "rows": fitted.n_rows,
            "additional_examples": fitted.n_additional,
            "suspect_labels": fitted.n_suspect,
            "epochs": fitted.epochs,
            "thresholds": thresholds,
            **{
                f"false positives at {rate:g} with suspect labels": round(found, 6)
                for rate, found in fitted.untreated_fpr.items()
            },
        }


@dataclass(frozen=True)
class FitBaseline(Stage[BundleParts]):
    """Base of the stages that train a student of labeled events alone, to compare with."""

    sources: Result[Sources]
    split: Result[TrainingAndTest]
    student: StudentSpec
    deployed_fpr: float | None = None

    def events(self) -> Dataset:
        """Return the events to learn."""
        raise NotImplementedError

    def work(self, folder: Path) -> tuple[BundleParts, Summary]:  # noqa: ARG002
        """Fit the baseline."""
        fitted = fit_student(self.events(), self.student)
        parts = bundle_parts(self.name, fitted, deployed_fpr=self.deployed_fpr)
        return parts, {"rows": fitted.n_rows}


@dataclass(frozen=True)
class FitLabelsOnly(FitBaseline, name="labels-only", version=2):
    """Trains on the training rows with the labels of their files."""

    def events(self) -> Dataset:
        """Return the training rows that have a label in their file."""
        training = self.split.output.training
        return with_file_labels(training, self.sources.output.require("train"))


@dataclass(frozen=True)
class FitUpperBound(FitLabelsOnly, name="upper-bound", version=2):
    """Trains on further labeled events too."""

    def events(self) -> Dataset:
        """Return training rows and more labeled ones, none of which is like the test."""
        more = self.sources.output.require("upper_bound").only_labeled()
        more = more.take(unlike(more, self.split.output.test))
        return deduplicate(Dataset.concat([super().events(), more]), near=False).events


@dataclass(frozen=True)
class FitNotAugmented(FitBaseline, name="not-augmented", version=2):
    """Trains on the training rows without attacked copies."""

    def events(self) -> Dataset:
        """Return the training rows."""
        return self.split.output.training


@dataclass(frozen=True)
class FitAuxiliary(Stage[AuxiliaryClassifiers], name="auxiliary", version=2):
    """Trains and measures the auxiliary classifiers."""

    split: Result[TrainingAndTest]
    questions: Sequence[AuxiliarySettings]
    student: StudentSpec
    n_resamples: int

    @staticmethod
    def of(recipe: Recipe, split: Result[TrainingAndTest]) -> "FitAuxiliary":
        """Return the stage for a recipe with auxiliary classifiers."""
        spec = replace(recipe.student.spec, noise=Noise.NONE)
        return FitAuxiliary(split, recipe.auxiliary, spec, recipe.evaluation.resamples)

    def work(self, folder: Path) -> tuple[AuxiliaryClassifiers, Summary]:  # noqa: ARG002
        """Fit one classifier for each question."""
        data = self.split.output
        found = fit_auxiliary(
            data.training, data.test, self.questions, self.student, self.n_resamples
        )
        return found, {one.name: f"{one.n_classes} classes" for one in found.figures}
