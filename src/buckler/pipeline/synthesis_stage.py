"""Stage in which synthetic examples are written or read, and tried on held-out real events."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from buckler.dataset import Dataset
from buckler.files import read_bytes
from buckler.pipeline.prepare import TrainingAndTest
from buckler.pipeline.recipe import SynthesisSection
from buckler.pipeline.stages import Result, Stage, Summary
from buckler.synthesis.generate import GenerationSettings, generate_examples
from buckler.synthesis.generator import get_generator
from buckler.synthesis.synthesis_report import SynthesisReport
from buckler.synthesis.synthetic_examples import (
    SyntheticExample,
    as_dataset,
    read_synthetic_examples,
    write_synthetic_examples,
)
from buckler.synthesis.template import read_template
from buckler.synthesis.verifiers import student_verifier
from buckler.tasks import Task
from buckler.training.cross_validation import StudentSpec
from buckler.training.synthesis_trial import TrialSettings, find_kind, run_trial

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
    report: SynthesisReport

    def examples(self, weight: float) -> Dataset | None:
        """Return the events to learn, in memory only; None where they are not kept."""
        if not self.kept:
            return None
        return as_dataset(self.synthetic_examples, self.task).with_weights(weight)

    def save(self, folder: Path) -> None:
        """Write the synthetic examples, encoded and marked, and the outcome of the trial."""
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
        report = SynthesisReport()
        if (folder / _FILE).exists():
            examples, report = read_synthetic_examples(folder / _FILE, task)
        return cls(task, examples, record["kept"], record["trial"], report)


@dataclass(frozen=True)
class Synthesize(Stage[SyntheticAddition], name="synthesis", version=2):
    """Writes or reads synthetic examples, and tries whether they help on held-out real events."""

    split: Result[TrainingAndTest]
    settings: SynthesisSection
    student: StudentSpec

    def work(self, folder: Path) -> tuple[SyntheticAddition, Summary]:  # noqa: ARG002
        """Collect synthetic examples, which may not repeat the test either, and try them."""
        section, training = self.settings, self.split.output.training
        task, seed = training.task, self.student.seed
        found: list[SyntheticExample] = []
        held_out = None if section.hold_out is None else find_kind(training, section.hold_out)
        for path in section.files:
            found += read_synthetic_examples(path, task)[0]
        report = SynthesisReport()
        if section.generator is not None:
            seen = training
            if held_out is not None:
                seen = training.take(np.flatnonzero(~held_out.rows))
            template = read_template(task, section.template)
            written = generate_examples(
                get_generator(section.generator, template, seen, seed),
                GenerationSettings(section.number, seed=seed),
                verifier=student_verifier(seen, seed),
                apart_from=self.split.output.test,
            )
            found += written.synthetic_examples
            report = written.report
        if not found:
            nothing = "no synthetic example passed the filters"
            addition = SyntheticAddition(task, [], False, nothing, report)
            return addition, {"synthetic_examples": 0, "kept": False}
        trial = run_trial(
            training,
            found,
            self.student.family,
            self.student.settings,
            TrialSettings(section.seeds, section.weight),
            held_out,
        )
        if section.keep_always and not trial.kept:
            summary = f"{trial.summary}, but learned all the same, as asked"
            trial = trial.model_copy(update={"kept": True, "summary": summary})
        report = report.model_copy(update={"trial": trial})
        addition = SyntheticAddition(task, found, trial.kept, trial.summary, report)
        summary_line: Summary = {
            "synthetic_examples": len(found),
            "kept": trial.kept,
            "trial": trial.summary,
        }
        return addition, summary_line
