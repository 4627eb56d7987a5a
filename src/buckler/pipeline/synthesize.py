"""Stage in which synthetic examples are written or read, and tried on held-out real events."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from buckler.dataset import Dataset
from buckler.files import read_bytes
from buckler.pipeline.prepare import TrainingAndTest
from buckler.pipeline.recipe import Recipe, SynthesisSection
from buckler.pipeline.stages import Result, Stage, Summary
from buckler.synthesis.filters import GateSettings
from buckler.synthesis.generate import Synthesis, synthesize
from buckler.synthesis.generator import get_generator
from buckler.synthesis.judges import STUDENT_LIMIT, student_judge
from buckler.synthesis.plan import read_plan
from buckler.synthesis.synthetic_examples import (
    SyntheticExample,
    as_events,
    read_synthetic_examples,
    write_synthetic_examples,
)
from buckler.tasks import Task
from buckler.training.cross_validation import StudentSpec
from buckler.training.synthesis_trial import prove, rows_of_kind

_FILE, _TRIAL = "synthetic_examples.parquet", "trial.json"


@dataclass(frozen=True)
class SyntheticAddition:
    """Synthetic examples and the outcome of their trial.

    Attributes
    ----------
    task
        Task that they belong to.
    synthetic_examples
        All that passed the filters.
    kept
        True where they help on held-out real events, or the recipe keeps them anyway.
    trial
        Outcome of the trial, in a sentence.
    report
        Figures of filters and trial, for the file of synthetic examples.
    """

    task: Task
    synthetic_examples: Sequence[SyntheticExample]
    kept: bool
    trial: str
    report: dict[str, object]

    def examples(self, weight: float) -> Dataset | None:
        """Return the events to learn, in memory only; None where they are not kept."""
        if not self.kept:
            return None
        return as_events(self.synthetic_examples, self.task).with_weights(weight)

    def save(self, folder: Path) -> None:
        """Write the synthetic examples, in their guarded form, and the outcome of the trial."""
        if self.synthetic_examples:
            write_synthetic_examples(
                folder / _FILE, self.synthetic_examples, self.task, self.report
            )
        record = {"kept": self.kept, "trial": self.trial}
        (folder / _TRIAL).write_text(json.dumps(record), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, task: Task) -> "SyntheticAddition":
        """Read what `save` wrote."""
        record = json.loads(read_bytes(folder / _TRIAL))
        examples: list[SyntheticExample] = []
        report: dict[str, object] = {}
        if (folder / _FILE).exists():
            examples, report = read_synthetic_examples(folder / _FILE, task)
        return cls(task, examples, record["kept"], record["trial"], report)


@dataclass(frozen=True)
class Synthesize(Stage[SyntheticAddition]):
    """Writes or reads synthetic examples, and tries whether they help on held-out real events."""

    name: ClassVar[str] = "synthesis"
    version: ClassVar[int] = 2
    output: ClassVar[type[SyntheticAddition]] = SyntheticAddition

    split: Result[TrainingAndTest]
    settings: SynthesisSection
    student: StudentSpec

    @staticmethod
    def of(recipe: Recipe, split: Result[TrainingAndTest]) -> "Synthesize | None":
        """Return the stage for a recipe with a section [synthesis]."""
        if recipe.synthesis is None:
            return None
        return Synthesize(split, recipe.synthesis, recipe.student.spec)

    def work(self, folder: Path) -> tuple[SyntheticAddition, Summary]:  # noqa: ARG002
        """Collect synthetic examples, which may not repeat the test either, and try them."""
        section, training = self.settings, self.split.output.training
        task, seed = training.task, self.student.seed
        found: list[SyntheticExample] = []
        unseen = None if section.hold_out is None else rows_of_kind(training, section.hold_out)
        for path in section.synthetic_examples:
            found += read_synthetic_examples(path, task)[0]
        report: dict[str, object] = {}
        if section.by is not None:
            seen = training if unseen is None else training.take(np.flatnonzero(~unseen))
            plan = read_plan(task, section.plan)
            passed = synthesize(
                plan,
                get_generator(section.by, plan, seen, seed),
                Synthesis(section.number, gates=GateSettings(judge=STUDENT_LIMIT), seed=seed),
                judge=student_judge(seen, seed),
                judge_name="a student of the training labels",
                also_apart_from=self.split.output.test,
            )
            found += passed.synthetic_examples
            report = passed.report
        if not found:
            nothing = "no synthetic example passed the filters"
            addition = SyntheticAddition(task, [], False, nothing, report)
            return addition, {"synthetic_examples": 0, "kept": False}
        trial = prove(
            training,
            found,
            self.student.family,
            dict(self.student.settings),
            seeds=section.seeds,
            weight=section.weight,
            unseen=unseen,
            unseen_name=section.hold_out or "",
        )
        sentence, kept = trial.summary(), trial.kept
        if section.unproven and not kept:
            sentence, kept = f"{sentence}, but learned unproven, as asked", True
        report = {**report, "trial": {**trial.as_json(), "kept": kept, "summary": sentence}}
        addition = SyntheticAddition(task, found, kept, sentence, report)
        return addition, {"synthetic_examples": len(found), "kept": kept, "trial": sentence}
