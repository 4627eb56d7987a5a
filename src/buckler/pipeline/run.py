"""Runs a recipe: from events to a bundle and a report; each stage is done once for its inputs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from buckler.bundle.reader import read_bundle
from buckler.dataset import Dataset
from buckler.dataset.splits import Leaks
from buckler.errors import InputError
from buckler.evaluation.evaluation import Evaluation
from buckler.evaluation.report import Comparison
from buckler.evaluation.robustness import Robustness, robustness_table
from buckler.files import file_digest, write_atomically
from buckler.labels import LabelStore, open_existing
from buckler.pipeline import prepare
from buckler.pipeline.ask import ask
from buckler.pipeline.compare import (
    comparison,
    save_comparison,
    side_by_side,
    under_attack,
)
from buckler.pipeline.evaluate import (
    Evaluated,
    assess_scorer,
    leak_notes,
    write_report,
)
from buckler.pipeline.recipe import LabelsSection, Recipe
from buckler.pipeline.stages import StageOutput, Stages
from buckler.pipeline.synthesize import kept_synthetic_examples, make_synthetic_examples
from buckler.pipeline.teach import teach_stage
from buckler.pipeline.train import bundle_with_metrics, train_student
from buckler.runtime import load
from buckler.tasks import Task
from buckler.teachers import get_teacher
from buckler.training.analyst_labels import part_verdicts, verdict_examples
from buckler.training.augmentation import augmentation
from buckler.training.auxiliary import Learned, heads_table, learn_heads
from buckler.training.cross_validation import OnEpoch


@dataclass(frozen=True)
class Run:
    """What a run made.

    Attributes
    ----------
    bundle
        The bundle file.
    report
        Where the report lies.
    assessment
        The figures on the test rows.
    stages
        Name, seconds, whether it was reused, and summary of each stage.
    comparison
        The student beside others; None where it learned from labels alone.
    robustness
        What it catches under attack, where that was asked for.
    heads
        What the further questions are answered like.
    verdicts
        Folder of analysts' verdicts, parted; None where the recipe names none.
    """

    bundle: Path
    report: Evaluated
    assessment: Evaluation
    stages: list[tuple[str, float, bool, dict[str, Any]]]
    comparison: Comparison | None = None
    robustness: list[Robustness] = field(default_factory=list)
    heads: tuple[dict[str, Any], ...] = ()
    verdicts: Path | None = None


def run_recipe(
    recipe: Recipe,
    *,
    on_stage: Callable[[str], None] | None = None,
    on_read: Callable[[int], None] | None = None,
    on_epoch: OnEpoch | None = None,
) -> Run:
    """Do all stages of a recipe that are not done yet.

    Raises
    ------
    BucklerError
        If the recipe, the data or the output folder do not allow it; what was done stays done.
    """
    task = recipe.load_task()
    stages = Stages(recipe.output / "stages")
    done: list[tuple[str, float, bool, dict[str, Any]]] = []

    def tell(name: str) -> None:
        if on_stage is not None:
            on_stage(name)

    def step(
        name: str, inputs: dict[str, Any], work: Callable[[Path], dict[str, Any]]
    ) -> StageOutput:
        tell(name)
        started = time.monotonic()
        output = stages.run(name, inputs, work)
        done.append((name, time.monotonic() - started, output.reused, output.summary))
        return output

    read = step(
        "read-2",
        prepare.read_inputs(recipe, task),
        lambda f: prepare.read(f, recipe, task, on_read),
    )
    speeds = _ask(recipe, task, read, tell, done) if recipe.teacher is not None else {}
    labeled, annotations = read, None
    if recipe.labels is not None:
        labels = recipe.labels
        with open_existing(labels.store) as store:
            annotations = store.digest(task)
            labeled = step(
                "label-2",
                {"read": read.key, "annotations": annotations, "how": _how(labels)},
                lambda f: prepare.label(
                    f, read.folder, store, task, labels, needed=recipe.pool is None
                ),
            )
    verdicts = _verdicts(recipe, task, read, step)
    split = step(
        "split-1",
        {
            "events": labeled.key,
            "split": recipe.split.model_dump(),
            "seed": recipe.student.seed,
            **({} if verdicts is None else {"verdicts": verdicts.key}),
        },
        lambda f: prepare.split(f, labeled.folder, read.folder, verdicts, recipe, task),
    )
    made: StageOutput | None = None
    if recipe.synthesis is not None:
        section = recipe.synthesis
        files = [file_digest(path) for path in section.synthetic_examples]
        plan = file_digest(section.plan) if section.plan is not None else section.by
        how = section.model_dump(exclude={"synthetic_examples", "plan"})
        made = step(
            "synthesis-1",
            {
                "split": split.key,
                "files": files,
                "plan": plan,
                "how": how,
                "student": recipe.student.model_dump(),
            },
            lambda f: make_synthetic_examples(
                f,
                *_sides(split, task),
                section,
                recipe.student,
            ),
        )
    synthetic_examples = _additions(made, split, verdicts, recipe, task)
    taught: StageOutput | None = None
    if recipe.pool is not None:
        taught = step(
            "teach-2",
            {
                "split": split.key,
                "pool": read.key,
                "annotations": labeled.key,
                "synthetic_examples": None if made is None else made.key,
                "how": recipe.pool.model_dump(exclude={"events"}),
                "augmentation": _dumped(recipe.augmentation),
                "student": recipe.student.model_dump(),
            },
            lambda f: teach_stage(f, split.folder, read.folder, recipe, task, synthetic_examples),
        )
    train = step(
        "train-3",
        {
            "split": split.key,
            "taught": None if taught is None else taught.key,
            "synthetic_examples": None if made is None else made.key,
            "augmentation": _dumped(recipe.augmentation),
            "deployed_fpr": recipe.evaluation.deployed_fpr,
            "pretrained": recipe.pretrained_digest(),
            "name": recipe.name or task.name,
            "student": recipe.student.model_dump(),
        },
        lambda f: train_student(
            f, split, taught, made, synthetic_examples, recipe, task, on_epoch, annotations
        ),
    )
    learned = Learned()
    if recipe.head:
        heads = step(
            "heads-1",
            {
                "split": split.key,
                "heads": [head.model_dump() for head in recipe.head],
                "student": recipe.student.model_dump(),
                "resamples": recipe.evaluation.resamples,
            },
            lambda f: learn_heads(f, *_sides(split, task), recipe),
        )
        learned = Learned.read(heads.folder, recipe.head)
    name = recipe.name or task.name
    tell("evaluate")
    started = time.monotonic()
    scorer = load(train.folder / f"{name}.buckler")
    test = Dataset.load(split.folder / "test.arrow", task)
    leaks = Leaks.load(split.folder / "leaks.npz")
    assessment = assess_scorer(
        scorer,
        test,
        leaks=leaks,
        slices=tuple(recipe.data.keep),
        n_resamples=recipe.evaluation.resamples,
    )
    done.append(("evaluate", time.monotonic() - started, False, {"test_rows": len(test)}))
    tell("compare")
    started = time.monotonic()
    bundle = recipe.output / f"{name}.buckler"
    judges = side_by_side(recipe, step, read, split, train, test, assessment, speeds)
    if judges:
        save_comparison(judges, recipe.output / "comparison.json")
        done.append(("compare", time.monotonic() - started, False, {"judges": len(judges)}))
    attacked: list[Robustness] = []
    if recipe.evaluation.attacks:
        tell("attack")
        started = time.monotonic()
        attacked = under_attack(recipe, step, split, train, test)
        done.append(("attack", time.monotonic() - started, False, {"models": len(attacked)}))
    tell("bundle")
    started = time.monotonic()
    scorer = bundle_with_metrics(train.folder / f"{name}.buckler", bundle, assessment, learned)
    table = comparison(judges, assessment) if judges else None
    report = write_report(
        assessment,
        scorer,
        recipe.output,
        tested_on=f"{len(test):,} rows from {_names(recipe.data.test or recipe.data.train)}",
        notes=leak_notes(leaks),
        comparison=table,
        robustness=robustness_table(attacked) if attacked else None,
        auxiliary=heads_table(learned.figures) if learned.figures else None,
    )
    write_atomically(recipe.output / "card.md", read_bundle(bundle).entries["card.md"])
    done.append(("bundle", time.monotonic() - started, False, {}))
    folder = None if verdicts is None else verdicts.folder
    return Run(bundle, report, assessment, done, table, attacked, learned.figures, folder)


def _sides(split: StageOutput, task: Task) -> tuple[Dataset, Dataset]:
    """Return the training and the test events of a split."""
    train, test = (Dataset.load(split.folder / f"{side}.arrow", task) for side in ("train", "test"))
    return train, test


def _names(paths: list[Path]) -> str:
    return ", ".join(p.name for p in paths)


# --- teach ------------------------------------------------------------------------------------


def _how(section: LabelsSection) -> dict[str, Any]:
    return section.model_dump(exclude={"store"})


def _ask(
    recipe: Recipe,
    task: Task,
    read: StageOutput,
    tell: Callable[[str], None],
    done: list[tuple[str, float, bool, dict[str, Any]]],
) -> dict[str, float]:
    """Ask the teacher; return annotations a second by the annotator's name and version."""
    section, labels = recipe.teacher, recipe.labels
    if section is None or labels is None:
        raise InputError("a teacher needs a label store")
    tell("ask")
    started = time.monotonic()
    teacher = get_teacher(section.kind, section.settings, task)
    events = [Dataset.load(read.folder / f"{side}.arrow", task) for side in section.on]
    with LabelStore(labels.store) as store:
        summary = ask(teacher, store, events, section)
    done.append(("ask", time.monotonic() - started, not summary["new_annotations"], summary))
    speed = summary.get("annotations_per_second")
    # Reading recorded ones says nothing of who made them.
    return {summary["teacher"].strip(): speed} if speed and section.kind != "recorded" else {}


def _dumped(section: BaseModel | None) -> dict[str, Any] | None:
    return None if section is None else section.model_dump()


def _verdicts(
    recipe: Recipe, task: Task, read: StageOutput, step: Callable[..., StageOutput]
) -> StageOutput | None:
    """Part what analysts have judged into what is learned and what measures."""
    section = recipe.verdicts
    if section is None:
        return None
    with open_existing(section.store) as store:
        return step(
            "verdicts-1",
            {
                "read": read.key,
                "annotations": store.digest(task),
                "how": section.model_dump(exclude={"store"}),
            },
            lambda f: part_verdicts(f, store, read.folder, task, section),
        )


def _additions(
    made: StageOutput | None,
    split: StageOutput,
    verdicts: StageOutput | None,
    recipe: Recipe,
    task: Task,
) -> Dataset | None:
    """Return what is learned beside labeled events: verdicts, synthetic examples, attacked copies."""
    found = []
    if verdicts is not None and recipe.verdicts is not None:
        found.append(verdict_examples(verdicts.folder, task, recipe.verdicts))
    if made is not None and recipe.synthesis is not None:
        found.append(kept_synthetic_examples(made.folder, task, recipe.synthesis.weight))
    if recipe.augmentation is not None:
        rows = Dataset.load(split.folder / "train.arrow", task)
        found += augmentation(rows, recipe.augmentation, recipe.student.seed)
    parts = [extra for extra in found if extra is not None]
    return Dataset.concat(parts) if parts else None
