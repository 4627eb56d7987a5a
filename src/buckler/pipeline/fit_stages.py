"""Stages that fit: the student, baselines to compare with, auxiliary classifiers."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from buckler.dataset import Dataset
from buckler.dataset.splits import deduplicate, unlike
from buckler.files import read_bytes
from buckler.operating_point import OperatingPoint, check_negatives
from buckler.pipeline.distill import Additions, DistilledPool
from buckler.pipeline.prepare import Sources, TrainingAndTest
from buckler.pipeline.recipe import Recipe
from buckler.pipeline.stages import Result, Stage, Summary
from buckler.tasks import Task
from buckler.training.auxiliary import AuxiliaryClassifiers, AuxiliarySettings, fit_auxiliary
from buckler.training.cross_validation import OnEpoch, StudentSpec
from buckler.training.fit import FittedStudent, SourceEvidence, fit_student, learn_more
from buckler.training.noise import Noise
from buckler.training.packaging import UNTREATED, BundleParts, bundle_parts
from buckler.training.targets import with_file_labels

FALSE_POSITIVES = "false-positives.jsonl"
LEARNED_LATER = "rows_learned_after_the_test"  # in the summary and in the provenance
_WORST_OF_A_SOURCE = 10
_WORST_CHARACTERS = 500


@dataclass(frozen=True)
class TrainedStudent:
    """The student of a run, packed for a bundle.

    Attributes
    ----------
    tested
        Student that saw nothing like the test rows.
    shipped
        The same; if there were training rows too like the test, with these rows.
    false_positives
        Worst false positives of each source by students that did not see it, as JSON lines.
    """

    tested: BundleParts
    shipped: BundleParts
    false_positives: bytes

    def save(self, folder: Path) -> None:
        """Write everything into a folder."""
        for name in ("tested", "shipped"):
            (folder / name).mkdir()
            getattr(self, name).save(folder / name)
        (folder / FALSE_POSITIVES).write_bytes(self.false_positives)

    @classmethod
    def load(cls, folder: Path, task: Task) -> "TrainedStudent":
        """Read what `save` wrote."""
        return cls(
            BundleParts.load(folder / "tested", task),
            BundleParts.load(folder / "shipped", task),
            read_bytes(folder / FALSE_POSITIVES),
        )


@dataclass(frozen=True)
class FitStudent(Stage[TrainedStudent], name="train", version=8):
    """Trains the student and packs it for a bundle.

    Training rows that are too like the test are learned last, by a student of its own.
    """

    sources: Result[Sources]
    split: Result[TrainingAndTest]
    distilled: Result[DistilledPool] | None
    additions: Additions | None
    student: StudentSpec
    bundle_name: str
    operating_point: OperatingPoint | None
    learn_dropped: bool
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
        return FitStudent(
            sources,
            split,
            distilled,
            additions,
            spec,
            recipe.name or task.name,
            recipe.evaluation.operating_point,
            recipe.split.learn_dropped,
            provenance,
            recipe.output / "checkpoints",
        )

    def work(self, folder: Path) -> tuple[TrainedStudent, Summary]:  # noqa: ARG002
        """Fit the student on labeled rows and additions."""
        training, later = self.split.output.training, self.split.output.left_out
        out_of_fold = None if self.distilled is None else self.distilled.output.out_of_fold
        spec = self.student.with_settings({"checkpoints": str(self.checkpoints)})
        if self.operating_point is not None:  # a wish that no data can grant costs no training
            n_negatives = int((~training.only_labeled().is_positive).sum())
            n_own = len(self.sources.output.own_negatives or ())
            check_negatives(self.operating_point, max(n_negatives, n_own))
        fitted = fit_student(
            training,
            spec,
            additional=self._additional(training),
            out_of_fold=out_of_fold,
            own_negatives=self.sources.output.own_negatives,
            on_epoch=self.on_epoch,
        )
        tested = shipped = self._pack(fitted, {})
        n_later = len(later) if self.learn_dropped else 0
        if n_later:
            both = self._additional(Dataset.concat([training, later]))
            whole = learn_more(fitted, later, spec, additional=both, on_epoch=self.on_epoch)
            shipped = self._pack(whole, {LEARNED_LATER: n_later})
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        lines = b""
        if fitted.evidence is not None and tested.manifest.threshold is not None:
            lines = worst_false_positives(fitted.evidence, tested.manifest.threshold)
        return TrainedStudent(tested, shipped, lines), {
            "rows": fitted.n_rows,
            LEARNED_LATER: n_later,
            "additional_examples": fitted.n_additional,
            "suspect_labels": fitted.n_suspect,
            "epochs": fitted.epochs,
            "operating_point": tested.manifest.operating_sentence,
            **{f"{UNTREATED}{rate:g}": round(r, 6) for rate, r in fitted.untreated_fpr.items()},
        }

    def _additional(self, training: Dataset) -> Dataset | None:
        """Return the examples beside the training rows."""
        found = [] if self.distilled is None else [self.distilled.output.examples]
        if self.additions is not None:
            found += self.additions.examples(training, self.student.seed)
        return Dataset.concat(found) if found else None

    def _pack(self, fitted: FittedStudent, more: dict[str, object]) -> BundleParts:
        return bundle_parts(
            self.bundle_name,
            fitted,
            operating_point=self.operating_point,
            provenance={**self.provenance, **more},
        )


def worst_false_positives(evidence: SourceEvidence, threshold: float) -> bytes:
    """Return the highest false positives of each source as JSON lines, one of each group."""
    scores, groups, lines = evidence.scores, evidence.events.groups, []
    for source, rows in scores.rows(~scores.is_positive).items():
        detected = rows[scores.score[rows] >= np.float32(threshold)]
        ranked = detected[np.argsort(-scores.score[detected], kind="stable")]
        _, first = np.unique(scores.groups[ranked], return_index=True)
        for row in ranked[np.sort(first)][:_WORST_OF_A_SOURCE].tolist():
            text = evidence.events.task.readable(evidence.events.raw_text(row))
            found = {
                "source": source,
                "score": round(float(scores.score[row]), 6),
                "group": groups[row],
                "text": text[:_WORST_CHARACTERS],
            }
            lines.append(json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))
    return b"".join(line + b"\n" for line in lines)


@dataclass(frozen=True)
class FitBaseline(Stage[BundleParts]):
    """Base of the stages that train a student of labeled events alone, to compare with."""

    sources: Result[Sources]
    split: Result[TrainingAndTest]
    student: StudentSpec
    operating_point: OperatingPoint | None = None

    def events(self) -> Dataset:
        """Return the events to learn."""
        raise NotImplementedError

    def work(self, folder: Path) -> tuple[BundleParts, Summary]:  # noqa: ARG002
        """Fit the baseline."""
        # Nobody reads its figures on unseen sources.
        fitted = replace(fit_student(self.events(), self.student), evidence=None)
        parts = bundle_parts(self.name, fitted, operating_point=self.operating_point)
        return parts, {"rows": fitted.n_rows}


@dataclass(frozen=True)
class FitLabelsOnly(FitBaseline, name="labels-only", version=3):
    """Trains on the training rows with the labels of their files."""

    def events(self) -> Dataset:
        """Return the training rows that have a label in their file."""
        training = self.split.output.training
        return with_file_labels(training, self.sources.output.require("train"))


@dataclass(frozen=True)
class FitUpperBound(FitLabelsOnly, name="upper-bound", version=3):
    """Trains on further labeled events too."""

    def events(self) -> Dataset:
        """Return training rows and more labeled ones, none of which is like the test."""
        more = self.sources.output.require("upper_bound").only_labeled()
        more = more.take(unlike(more, self.split.output.test))
        return deduplicate(Dataset.concat([super().events(), more]), near=False).events


@dataclass(frozen=True)
class FitNotAugmented(FitBaseline, name="not-augmented", version=3):
    """Trains on the training rows without attacked copies."""

    def events(self) -> Dataset:
        """Return the training rows."""
        return self.split.output.training


@dataclass(frozen=True)
class FitAuxiliary(Stage[AuxiliaryClassifiers], name="auxiliary", version=3):
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
