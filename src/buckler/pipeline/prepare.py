"""The first stages of a run: files to events, annotations to labels, training apart from test."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.splits import Leaks, check_leaks, deduplicate, split_by_group, split_by_time
from buckler.errors import InputError
from buckler.files import file_digest
from buckler.labels import LabelStore
from buckler.pipeline.recipe import LabelsSection, Recipe
from buckler.pipeline.stages import StageOutput
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import find_inputs
from buckler.tasks import Task
from buckler.training.analyst_labels import without_judged
from buckler.training.targets import with_annotations

# --- read -------------------------------------------------------------------------------------


def sides(recipe: Recipe) -> list[tuple[str, list[Path]]]:
    """Return training, test, pool and upper bound, each with its files."""
    pool = recipe.pool.events if recipe.pool is not None else []
    bound = recipe.compare.upper_bound
    found = [("train", recipe.data.train), ("test", recipe.data.test), ("pool", pool)]
    return [*found, ("upper_bound", bound)]


def read_inputs(recipe: Recipe, task: Task) -> dict[str, Any]:
    """Return all that decides what `read` makes: contents of files, columns, the task."""
    digests = {
        side: [
            [str(path.name), file_digest(path)]
            for path in (find_inputs(paths, recipe.data.format) if paths else [])
        ]
        for side, paths in sides(recipe)
    }
    columns = recipe.data.model_dump(exclude={"train", "test"})
    columns["keep"] = recipe.kept_columns
    return {"files": digests, "columns": columns, "task": repr(task)}


def read(
    folder: Path, recipe: Recipe, task: Task, on_read: Callable[[int], None] | None
) -> dict[str, Any]:
    """Read all files; what cannot be used is set aside and counted."""
    summary: dict[str, Any] = {}
    data = recipe.data
    for side, paths in sides(recipe):
        if not paths:
            continue
        with Quarantine(folder / f"{side}.quarantine.jsonl") as quarantine:
            events = read_dataset(
                paths,
                task,
                ColumnNames(
                    text=data.text_column,
                    label=data.label_column if side != "pool" else None,
                    group=data.group_column,
                    keep=recipe.kept_columns,
                ),
                labeled=side != "pool",
                format_name=data.format,
                quarantine=quarantine,
                on_progress=on_read,
            )
        events.save(folder / f"{side}.arrow")
        summary[f"{side}_rows"] = len(events)
        summary[f"{side}_unlabeled"] = int((events.labels < 0).sum())
        summary[f"{side}_set_aside"] = quarantine.count
        summary[f"{side}_reasons"] = dict(quarantine.reasons)
    return summary


# --- label and split --------------------------------------------------------------------------


def label(
    folder: Path,
    source: Path,
    store: LabelStore,
    task: Task,
    section: LabelsSection,
    *,
    needed: bool,
) -> dict[str, Any]:
    """Let annotations of the label store decide the training labels."""
    events, summary = with_annotations(
        Dataset.load(source / "train.arrow", task),
        store,
        section.merge,
        needed=needed,
        label_share=section.label_share,
    )
    events.save(folder / "train.arrow")
    return dict(summary)


def split(
    folder: Path,
    training_source: Path,
    test_source: Path,
    verdicts: StageOutput | None,
    recipe: Recipe,
    task: Task,
) -> dict[str, Any]:
    """Leave repetitions out, and part training from test."""
    settings = recipe.split
    training = _labeled(Dataset.load(training_source / "train.arrow", task))
    summary: dict[str, Any] = {}
    if verdicts is not None:
        before = len(training)
        training = without_judged(training, verdicts.folder)
        summary["judged_by_analysts"] = before - len(training)
    if settings.deduplicate != "none":
        found = deduplicate(training, near=settings.deduplicate == "near")
        training = found.events
        summary |= {
            "repeated": found.exact,
            "nearly_repeated": found.near,
            "texts_with_two_labels": found.conflicting,
        }
    if (test_source / "test.arrow").exists():
        test = _labeled(Dataset.load(test_source / "test.arrow", task))
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
    training.save(folder / "train.arrow")
    test.save(folder / "test.arrow")
    leaks.save(folder / "leaks.npz")
    return {**summary, "train_rows": len(training), "test_rows": len(test), **_leak_counts(leaks)}


def _labeled(events: Dataset) -> Dataset:
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
