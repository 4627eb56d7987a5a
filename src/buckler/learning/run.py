"""Runs a recipe: read, split, train, evaluate, bundle; each stage is done once for its inputs."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from buckler.bundle.reader import read_bundle
from buckler.bundle.writer import write_bundle, write_whole
from buckler.errors import InputError
from buckler.evaluation.assess import Assessment
from buckler.events import Events, Quarantine, collect_events, find_inputs
from buckler.events.splitting import (
    Leaks,
    check_leaks,
    deduplicate,
    split_by_group,
    split_by_time,
)
from buckler.labels import LabelStore, open_existing
from buckler.labels.merging import Merge
from buckler.learning.cross_fit import OnEpoch
from buckler.learning.evaluate import (
    Evaluated,
    assess_scorer,
    headline,
    leak_notes,
    write_report,
)
from buckler.learning.fit import fit_student
from buckler.learning.package import choose_deployed, write_fitted
from buckler.learning.recipe import Recipe
from buckler.learning.stages import StageOutput, Stages, file_digest
from buckler.learning.stored_events import load_events, save_events
from buckler.learning.targets import with_opinions
from buckler.learning.teach import Lesson, teach
from buckler.runtime import Scorer, load
from buckler.tasks import Task


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
    """

    bundle: Path
    report: Evaluated
    assessment: Assessment
    stages: list[tuple[str, float, bool, dict[str, Any]]]


@dataclass(frozen=True)
class _Hooks:
    """What a run tells while it works."""

    on_read: Callable[[int], None] | None
    on_epoch: OnEpoch | None


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
    hooks = _Hooks(on_read, on_epoch)
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

    read = step("read-1", _read_inputs(recipe, task), lambda f: _read(f, recipe, task, hooks))
    labelled = read
    if recipe.labels is not None:
        labels = recipe.labels
        with open_existing(labels.store) as store:
            labelled = step(
                "label-1",
                {"read": read.key, "opinions": store.digest(task), "merge": labels.merge},
                lambda f: _label(
                    f, read.folder, store, task, labels.merge, needed=recipe.pool is None
                ),
            )
    split = step(
        "split-1",
        {"events": labelled.key, "split": recipe.split.model_dump(), "seed": recipe.student.seed},
        lambda f: _split(f, labelled.folder, read.folder, recipe, task),
    )
    taught: StageOutput | None = None
    if recipe.pool is not None:
        taught = step(
            "teach-1",
            {
                "split": split.key,
                "pool": read.key,
                "opinions": labelled.key,
                "how": recipe.pool.model_dump(exclude={"events"}),
                "student": recipe.student.model_dump(),
            },
            lambda f: _teach(f, split.folder, read.folder, recipe, task),
        )
    train = step(
        "train-2",
        {
            "split": split.key,
            "taught": None if taught is None else taught.key,
            "student": recipe.student.model_dump(),
            "deployed_fpr": recipe.evaluation.deployed_fpr,
            "name": recipe.name or task.name,
        },
        lambda f: _train(f, split, taught, recipe, task, hooks),
    )
    name = recipe.name or task.name
    tell("evaluate")
    started = time.monotonic()
    scorer = load(train.folder / f"{name}.buckler")
    test = load_events(split.folder / "test.arrow", task)
    leaks = Leaks.load(split.folder / "leaks.npz")
    assessment = assess_scorer(
        scorer,
        test,
        leaks=leaks,
        slices=tuple(recipe.data.keep),
        n_resamples=recipe.evaluation.resamples,
    )
    done.append(("evaluate", time.monotonic() - started, False, {"test_rows": len(test)}))
    tell("bundle")
    started = time.monotonic()
    bundle = recipe.output / f"{name}.buckler"
    scorer = _bundle_with_metrics(train.folder / f"{name}.buckler", bundle, assessment)
    report = write_report(
        assessment,
        scorer,
        recipe.output,
        tested_on=f"{len(test):,} rows from {_names(recipe.data.test or recipe.data.train)}",
        notes=leak_notes(leaks),
    )
    write_whole(recipe.output / "card.md", read_bundle(bundle).entries["card.md"])
    done.append(("bundle", time.monotonic() - started, False, {}))
    return Run(bundle, report, assessment, done)


def _names(paths: list[Path]) -> str:
    return ", ".join(p.name for p in paths)


# --- read -------------------------------------------------------------------------------------


def _sides(recipe: Recipe) -> list[tuple[str, list[Path]]]:
    pool = recipe.pool.events if recipe.pool is not None else []
    return [("train", recipe.data.train), ("test", recipe.data.test), ("pool", pool)]


def _read_inputs(recipe: Recipe, task: Task) -> dict[str, Any]:
    digests = {
        side: [
            [str(path.name), file_digest(path)]
            for path in (find_inputs(paths, recipe.data.format) if paths else [])
        ]
        for side, paths in _sides(recipe)
    }
    columns = recipe.data.model_dump(exclude={"train", "test"})
    return {"files": digests, "columns": columns, "task": repr(task)}


def _read(folder: Path, recipe: Recipe, task: Task, hooks: _Hooks) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    data = recipe.data
    for side, paths in _sides(recipe):
        if not paths:
            continue
        with Quarantine(folder / f"{side}.quarantine.jsonl") as quarantine:
            events = collect_events(
                paths,
                task,
                text_column=data.text_column,
                label_column=data.label_column if side != "pool" else None,
                with_labels=side != "pool",
                group_column=data.group_column,
                keep=tuple(data.keep),
                format_name=data.format,
                quarantine=quarantine,
                on_progress=hooks.on_read,
            )
        save_events(events, folder / f"{side}.arrow")
        summary[f"{side}_rows"] = len(events)
        summary[f"{side}_unlabelled"] = int((events.labels < 0).sum())
        summary[f"{side}_set_aside"] = quarantine.count
        summary[f"{side}_reasons"] = dict(quarantine.reasons)
    return summary


# --- label and split --------------------------------------------------------------------------


def _label(
    folder: Path, source: Path, store: LabelStore, task: Task, method: Merge, *, needed: bool
) -> dict[str, Any]:
    events, summary = with_opinions(
        load_events(source / "train.arrow", task), store, task, method, needed=needed
    )
    save_events(events, folder / "train.arrow")
    return dict(summary)


def _split(
    folder: Path, training_source: Path, test_source: Path, recipe: Recipe, task: Task
) -> dict[str, Any]:
    settings = recipe.split
    training = _labelled(load_events(training_source / "train.arrow", task))
    summary: dict[str, Any] = {}
    if settings.deduplicate != "none":
        found = deduplicate(training, near=settings.deduplicate == "near")
        training = found.events
        summary |= {
            "repeated": found.exact,
            "nearly_repeated": found.near,
            "texts_with_two_labels": found.conflicting,
        }
    if (test_source / "test.arrow").exists():
        test = _labelled(load_events(test_source / "test.arrow", task))
    else:
        split = (
            split_by_group(training, settings.test_share, recipe.student.seed)
            if settings.by == "group"
            else split_by_time(training, settings.test_share)
        )
        if not len(split.left) or not len(split.right):
            raise InputError(
                f"the split leaves {len(split.left):,} rows for training and {len(split.right):,} "
                "for the test: there are too few groups; give test data of their own"
            )
        training, test = training.take(split.left), training.take(split.right)
    training, leaks = check_leaks(training, test, settings.on_leak)
    save_events(training, folder / "train.arrow")
    save_events(test, folder / "test.arrow")
    leaks.save(folder / "leaks.npz")
    return {**summary, "train_rows": len(training), "test_rows": len(test), **_leak_counts(leaks)}


def _labelled(events: Events) -> Events:
    rows = (events.labels >= 0).nonzero()[0]
    if not len(rows):
        raise InputError("no row has a label; name the column with data.label_column")
    return events if len(rows) == len(events) else events.take(rows)


def _leak_counts(leaks: Leaks) -> dict[str, int]:
    return {
        "test_texts_in_training": int(leaks.same_text.sum()),
        "test_texts_nearly_in_training": int(leaks.near_text.sum()),
        "test_groups_in_training": int(leaks.same_group.sum()),
    }


# --- teach ------------------------------------------------------------------------------------


def _teach(folder: Path, split: Path, source: Path, recipe: Recipe, task: Task) -> dict[str, Any]:
    if recipe.pool is None:
        raise InputError("the recipe has no pool")
    lesson = teach(
        load_events(split / "train.arrow", task),
        load_events(split / "test.arrow", task),
        load_events(source / "pool.arrow", task),
        task,
        section=recipe.pool,
        labels=recipe.labels,
        student=recipe.student,
    )
    lesson.save(folder)
    return {**lesson.summary, "extra_examples": 0 if lesson.extra is None else len(lesson.extra)}


# --- train and bundle -------------------------------------------------------------------------


def _train(
    folder: Path,
    split: StageOutput,
    taught: StageOutput | None,
    recipe: Recipe,
    task: Task,
    hooks: _Hooks,
) -> dict[str, Any]:
    student = recipe.student
    lesson = Lesson(None, student.settings, None, {})
    if taught is not None:
        lesson = Lesson.load(taught.folder, task)
    fitted = fit_student(
        load_events(split.folder / "train.arrow", task),
        task,
        student.family,
        lesson.settings,
        extra=lesson.extra,
        crossed=lesson.crossed,
        folds=student.folds,
        noise=student.noise,
        seed=student.seed,
        on_epoch=hooks.on_epoch,
    )
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
        },
    )
    return {
        "rows": fitted.n_rows,
        "extra_examples": fitted.n_extra,
        "suspect_labels": fitted.n_suspect,
        "epochs": fitted.epochs,
        "thresholds": {f"{k:g}": v for k, v in thresholds.items()},
    }


def _bundle_with_metrics(source: Path, target: Path, assessment: Assessment) -> Scorer:
    """Write the final bundle: the trained one, with its test figures in manifest and card."""
    bundle = read_bundle(source)
    manifest = replace(bundle.manifest, metrics=headline(assessment))
    write_bundle(target, manifest, bundle.tensors(), bundle.entries["vectors.json"])
    return load(target)
