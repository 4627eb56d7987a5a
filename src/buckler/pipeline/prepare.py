"""Stages before training: files to datasets, annotations to labels, training apart from test."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from buckler.dataset import ColumnNames, Dataset, read_dataset
from buckler.dataset.splits import (
    Leaks,
    OnLeak,
    check_leaks,
    deduplicate,
    split_by_group,
    split_by_time,
    without_seen,
)
from buckler.errors import InputError
from buckler.labels import LabelStore, open_existing
from buckler.labels.merging import Merge
from buckler.pipeline.recipe import Recipe, SplitSection
from buckler.pipeline.stages import Result, Stage, StageRunner, Summary
from buckler.readers.quarantine import Quarantine
from buckler.readers.reader import find_inputs
from buckler.tasks import Task
from buckler.teachers import get_teacher
from buckler.teachers.budget import Budget
from buckler.teachers.labeling import label
from buckler.training.targets import (
    AnalystLabels,
    with_annotations,
)

_ASKING_ORDER = ("test", "train", "pool")  # a comparison needs most of the test rows

# --- read -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sources:
    """Events as their files give them; None where the recipe names no files.

    Attributes
    ----------
    train, test
        Labeled events.
    pool
        Unlabeled events that help to train.
    upper_bound
        Further labeled events, to compare with.
    own_negatives
        Negatives from the place where the bundle will work.
    """

    train: Dataset | None = None
    test: Dataset | None = None
    pool: Dataset | None = None
    upper_bound: Dataset | None = None
    own_negatives: Dataset | None = None

    def require(self, name: str) -> Dataset:
        """Return one of the datasets.

        Raises
        ------
        InputError
            If the recipe names no files for it.
        """
        found = vars(self)[name]
        if not isinstance(found, Dataset):
            raise InputError(f"the recipe names no files for {name}")
        return found

    def save(self, folder: Path) -> None:
        """Write the datasets into a folder."""
        for name, events in vars(self).items():
            if events is not None:
                events.save(folder / f"{name}.arrow")

    @classmethod
    def load(cls, folder: Path, task: Task) -> "Sources":
        """Read what `save` wrote."""
        return cls(**{path.stem: Dataset.load(path, task) for path in folder.glob("*.arrow")})


@dataclass(frozen=True)
class ReadSources(Stage[Sources], name="read", version=5):
    """Reads all files; rows that cannot be used are set aside and counted."""

    task: Task
    files: Mapping[str, Sequence[Path]]
    columns: ColumnNames
    leave_out: Mapping[str, Sequence[str]]
    test_rows: Mapping[str, Sequence[str]]
    untaught: Mapping[str, Sequence[str]]
    format: str | None
    on_read: Callable[[int], None] | None = field(compare=False)

    @staticmethod
    def of(recipe: Recipe, task: Task, on_read: Callable[[int], None] | None) -> "ReadSources":
        """Return the stage that reads the files of a recipe."""
        paths = {
            "train": recipe.data.train,
            "test": recipe.data.test,
            "pool": [] if recipe.pool is None else recipe.pool.events,
            "upper_bound": recipe.compare.upper_bound,
            "own_negatives": recipe.data.own_negatives,
        }
        kind = recipe.data.format
        files = {name: list(find_inputs(some, kind)) for name, some in paths.items() if some}
        chosen = (recipe.data.leave_out, recipe.data.test_rows, recipe.data.untaught)
        return ReadSources(task, files, recipe.columns, *chosen, kind, on_read)

    def work(self, folder: Path) -> tuple[Sources, Summary]:
        """Read the files; the rows that were set aside stand in the folder."""
        found: dict[str, Dataset] = {}
        summary: Summary = {}
        for name, paths in self.files.items():
            labeled = name not in ("pool", "own_negatives")
            with Quarantine(folder / f"{name}.quarantine.jsonl") as quarantine:
                events = read_dataset(
                    paths,
                    self.task,
                    self.columns if labeled else replace(self.columns, label=None),
                    labeled=labeled,
                    format_name=self.format,
                    quarantine=quarantine,
                    on_progress=self.on_read,
                )
            events = found[name] = _without(events, self.leave_out, "leave_out", summary, name)
            summary[f"{name}_rows"] = len(events)
            summary[f"{name}_unlabeled"] = int((events.labels < 0).sum())
            summary[f"{name}_set_aside"] = quarantine.count
            reasons = [f"{reason}: {n:,}" for reason, n in quarantine.reasons.items()]
            summary[f"{name}_reasons"] = "; ".join(reasons)
        if self.test_rows:
            train, test = found["train"], found.get("test")
            chosen = _rows_with(train, self.test_rows)
            if chosen.all() or not chosen.any():
                raise InputError(
                    "data.test_rows must choose some of the training rows, and not all of them",
                    field="test_rows",
                )
            found["train"], held = (train.take(np.flatnonzero(r)) for r in (~chosen, chosen))
            found["test"] = held if test is None else Dataset.concat([test, held])
            summary |= {"train_rows": len(found["train"]), "test_rows": len(found["test"])}
        for name in {"train", "pool"} & set(found):
            found[name] = _without(found[name], self.untaught, "untaught", summary, name)
        return Sources(**found), summary


def _without(
    events: Dataset,
    values: Mapping[str, Sequence[str]],
    setting: str,
    summary: Summary,
    name: str,
) -> Dataset:
    """Return the events without some, and count these."""
    kept = ~_rows_with(events, values)
    if not kept.any():
        raise InputError(f"data.{setting} leaves no row", field=setting)
    if values:
        summary[f"{name}_{setting}"] = int((~kept).sum())
    return events if kept.all() else events.take(np.flatnonzero(kept))


def _rows_with(events: Dataset, values: Mapping[str, Sequence[str]]) -> npt.NDArray[np.bool_]:
    """Return flags of the rows that have one of these values in one of these columns."""
    found = np.zeros(len(events), bool)
    for column, some in values.items():
        if column in events.table.column_names:
            found |= np.isin(events.column(column).astype(str), list(some))
    return found


# --- label ------------------------------------------------------------------------------------


def ask_teacher(runner: StageRunner, recipe: Recipe, sources: Result[Sources]) -> dict[str, float]:
    """Let the teacher of a recipe annotate, each event once in all runs, within the budget.

    Returns
    -------
    dict
        Annotations a second, by the annotator's name and version; empty where nothing was new.

    Raises
    ------
    SettingsError
        If a budget in dollars is set and no price is known.
    InputError
        If there are events and the teacher annotated none of them, in this run or before.
    """
    section, labels = recipe.teacher, recipe.labels
    if section is None or labels is None:
        return {}
    with runner.step("ask") as report, LabelStore(labels.store) as store:
        teacher = get_teacher(section.kind, section.settings, runner.task)
        budget = Budget(usd=section.budget_usd, tokens=section.budget_tokens)
        teacher.check_budget(budget)
        name = str(teacher.annotator)
        report.summary = {"teacher": name}
        asked = known = new = 0
        started = time.monotonic()
        for side in sorted(section.on, key=_ASKING_ORDER.index):
            labeled = label(sources.output.require(side), teacher, store, budget=budget)
            asked, known, new = asked + labeled.events, known + labeled.known, new + labeled.new
            if labeled.account is not None and labeled.account.stopped:
                report.summary["stopped"] = labeled.account.stopped
        if asked and not known + new:
            raise InputError(f"the teacher {name!r} annotated none of {asked:,} events")
        speed = new / max(time.monotonic() - started, 1e-9)
        report.summary |= {"events": asked, "annotated_before": known, "new_annotations": new}
        report.reused = not new
        if not new:
            return {}
        report.summary["annotations_per_second"] = round(speed, 1)
    # The speed of reading recorded annotations says nothing about the teacher that made them.
    return {} if section.kind == "recorded" else {name: round(speed, 1)}


@dataclass(frozen=True)
class MergeAnnotations(Stage[Sources], name="label", version=6):
    """Takes annotations of the label store as targets of the training events."""

    sources: Result[Sources]
    annotations: str
    merge: Merge
    label_share: float
    weight: float
    required: bool
    leave_out: Sequence[str] = field(compare=False)  # it counts in the digest of annotations
    store: LabelStore = field(compare=False)

    def work(self, folder: Path) -> tuple[Sources, Summary]:  # noqa: ARG002
        """Merge the annotations of each event into its target."""
        events, summary = with_annotations(
            self.sources.output.require("train"),
            self.store,
            self.merge,
            leave_out=self.leave_out,
            required=self.required,
            label_share=self.label_share,
            weight=self.weight,
        )
        return Sources(train=events), dict(summary)


def merge_annotations(
    runner: StageRunner, recipe: Recipe, sources: Result[Sources]
) -> Result[Sources] | None:
    """Run the stage that merges annotations, where the recipe names a label store."""
    labels = recipe.labels
    if labels is None:
        return None
    with open_existing(labels.store) as store:
        digest, required = store.digest(runner.task, labels.leave_out), recipe.pool is None
        how = labels.merge, labels.label_share, labels.weight, required
        return runner.run(MergeAnnotations(sources, digest, *how, labels.leave_out, store))


# --- split ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrainingAndTest:
    """Training and test events, and what they still share.

    Attributes
    ----------
    training, test
        Labeled events.
    left_out
        Training events that are too like the test to learn from before the test is done.
    leaks
        Test rows that share a text, a near-duplicate or a group with training.
    """

    training: Dataset
    test: Dataset
    left_out: Dataset
    leaks: Leaks

    def save(self, folder: Path) -> None:
        """Write everything into a folder."""
        for name in ("training", "test", "left_out"):
            getattr(self, name).save(folder / f"{name}.arrow")
        self.leaks.save(folder / "leaks.npz")

    @classmethod
    def load(cls, folder: Path, task: Task) -> "TrainingAndTest":
        """Read what `save` wrote."""
        training, test, left_out = (
            Dataset.load(folder / f"{name}.arrow", task)
            for name in ("training", "test", "left_out")
        )
        return cls(training, test, left_out, Leaks.load(folder / "leaks.npz"))


@dataclass(frozen=True)
class Split(Stage[TrainingAndTest], name="split", version=3):
    """Leaves repetitions out, and separates training from test."""

    sources: Result[Sources]
    labeled: Result[Sources] | None
    analyst_labels: Result[AnalystLabels] | None
    settings: SplitSection
    seed: int

    def work(self, folder: Path) -> tuple[TrainingAndTest, Summary]:  # noqa: ARG002
        """Deduplicate, split, and check for leaks."""
        sources, settings = self.sources.output, self.settings
        training = _labeled_rows((self.labeled or self.sources).output.require("train"))
        summary: Summary = {}
        if self.analyst_labels is not None:
            before = len(training)
            training = self.analyst_labels.output.leave_out(training)
            summary["labeled_by_analysts"] = before - len(training)
        if settings.deduplicate != "none":
            found = deduplicate(training, near=settings.deduplicate == "near")
            training = found.events
            summary |= {
                "repeated": found.exact,
                "nearly_repeated": found.near,
                "texts_with_two_labels": found.conflicting,
            }
        if sources.test is None:
            training, held_out = self._split(training)
            test = held_out
            if settings.on_leak is not OnLeak.ALLOW:
                test = without_seen(training, held_out)
            summary["test_rows_like_training"] = len(held_out) - len(test)
        else:
            test = _labeled_rows(sources.test)
        learned, leaks = check_leaks(training, test, settings.on_leak)
        ids = set(learned.ids)
        left_out = training.take(np.flatnonzero([i not in ids for i in training.ids]))
        summary |= {
            "train_rows": len(learned),
            "train_rows_like_test": len(left_out),
            "test_rows": len(test),
            "test_texts_in_training": int(leaks.same_text.sum()),
            "test_texts_nearly_in_training": int(leaks.near_text.sum()),
            "test_groups_in_training": int(leaks.same_group.sum()),
        }
        return TrainingAndTest(learned, test, left_out, leaks), summary

    def _split(self, events: Dataset) -> tuple[Dataset, Dataset]:
        share = self.settings.test_share
        if self.settings.by == "group":
            split = split_by_group(events, share, self.seed)
        else:
            split = split_by_time(events, share)
        if not len(split.left) or not len(split.right):
            raise InputError(
                f"the split leaves {len(split.left):,} rows for training and {len(split.right):,} "
                "for the test: there are too few groups; give test data of their own"
            )
        return events.take(split.left), events.take(split.right)


def _labeled_rows(events: Dataset) -> Dataset:
    events = events.only_labeled()
    if not len(events):
        raise InputError("no row has a label; name the column with data.label_column")
    return events
