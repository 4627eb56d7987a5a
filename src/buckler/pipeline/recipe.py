"""The recipe: schema and reader of `buckler.toml`, checked before any work begins."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from buckler.attacks import get_attacks, get_augmentations
from buckler.bundle.manifest import MAX_AUXILIARY
from buckler.dataset import ColumnNames, UnknownLabels
from buckler.dataset.event_table import EVENT_SCHEMA
from buckler.dataset.splits import OnLeak
from buckler.errors import SettingsError
from buckler.evaluation.unseen_sources import ThresholdRule
from buckler.files import read_settings
from buckler.labels.merging import Merge
from buckler.operating_point import OperatingPoint
from buckler.tasks import Task, get_task
from buckler.training.auxiliary import AuxiliarySettings
from buckler.training.class_prior import ClassPrior
from buckler.training.cross_validation import StudentSpec
from buckler.training.distillation import Distillation
from buckler.training.noise import Noise


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DataSection(_Section):
    """Files of labeled events.

    Attributes
    ----------
    train, test
        Files or folders, relative to the recipe. Without `test`, a share of `train` is held out.
    text_column, label_column, group_column, source_column
        Names of columns, where the task's usual names do not fit.
    own_negatives
        Files of negatives from where the bundle will work, for the rule ``own-negatives``.
    format, keep
        Format of every file, whatever its suffix; further columns to slice the report by.
    leave_out
        Column -> values: such rows are left out of training, test and pool.
    test_rows
        Column -> values: rows of `train` with one of these are test rows instead.
    untaught
        Column -> values: such rows are left out of training and pool, not of the test.
    unknown_labels, label_map
        Answer to a label that is no class of the task; label in the files -> class.
    """

    train: list[Path] = Field(min_length=1)
    test: list[Path] = []
    text_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    source_column: str | None = None
    own_negatives: list[Path] = []
    format: str | None = None
    keep: list[str] = []
    leave_out: dict[str, list[str]] = {}
    test_rows: dict[str, list[str]] = {}
    untaught: dict[str, list[str]] = {}
    unknown_labels: UnknownLabels = UnknownLabels.FAIL
    label_map: dict[str, str] = {}


class LabelsSection(_Section):
    """Annotations that the training labels are computed from.

    Attributes
    ----------
    store
        A label store: a file, or a PostgreSQL URL.
    merge
        Way to merge several annotations of an event.
    label_share
        Share of the file's label in the target of an event that has both: 1 keeps the label. The
        label of a person in the store always counts in full.
    weight
        Weight of an event with annotations in training, beside one without.
    leave_out
        Annotators that do not count, by name or ``NAME@VERSION``.
    """

    store: str
    leave_out: list[str] = []
    merge: Merge = Merge.MEAN
    label_share: float = Field(default=1.0, ge=0, le=1)
    weight: float = Field(default=1.0, gt=0, le=100)


class AnalystLabelsSection(_Section):
    """Labels of analysts, which are learned beside the training rows.

    Attributes
    ----------
    store
        Label store that holds them.
    hold_out
        Share of their groups that only measures; always the same.
    weight
        Weight of an analyst's label beside that of a training row.
    """

    store: str
    hold_out: float = Field(default=0.3, ge=0, lt=1)
    weight: float = Field(default=1.0, gt=0, le=100)


class PoolSection(_Section):
    """Unlabeled events that help to train.

    Attributes
    ----------
    events
        Files or folders, relative to the recipe; labels in them are ignored.
    distill
        Settings of distillation from their annotations in the label store.
    """

    events: list[Path] = Field(min_length=1)
    distill: Distillation = Distillation()


class TeacherSection(_Section):
    """Teacher that is asked in the run; the label store keeps its annotations.

    Attributes
    ----------
    kind
        Kind of teacher: ``encoder``, ``chat``, ``gguf``, …
    settings
        Its settings file, relative to the recipe.
    on
        Events to annotate: ``pool``, ``train``, ``test`` (to compare with the student; first).
    budget_usd, budget_tokens
        Limits on what one run may spend.
    """

    kind: str
    settings: Path | None = None
    on: list[Literal["pool", "train", "test"]] = ["pool"]
    budget_usd: float | None = Field(default=None, ge=0)
    budget_tokens: int | None = Field(default=None, ge=0)


class SynthesisSection(_Section):
    """Synthetic examples, which count only if they help on held-out real events.

    Attributes
    ----------
    files
        Files of synthetic examples to use.
    generator
        A generator that costs nothing, such as ``grammar``, to write some in the run.
    template
        A template of your own; by default the task's.
    number
        Synthetic examples to write.
    weight
        Weight of a synthetic example beside a real event.
    seeds
        Number of splits in the trial.
    keep_always
        True learns from them whatever the trial shows: for events without real ones to measure on.
    hold_out
        ``COLUMN=VALUE,VALUE``: the trial measures detection of such events by students that saw
        none; the column must stand in `data.keep`. The bundle's student learns from all.
    """

    hold_out: str | None = None
    files: list[Path] = []
    generator: str | None = None
    template: Path | None = None
    number: int = Field(default=1000, ge=1, le=100_000)
    weight: float = Field(default=0.5, gt=0, le=100)
    seeds: int = Field(default=5, ge=2, le=50)
    keep_always: bool = False


class CompareSection(_Section):
    """Further students to compare with in the report.

    `upper_bound` names labeled files: a student that learns them shows the gain of true labels.
    """

    upper_bound: list[Path] = []


class SplitSection(_Section):
    """Separation of training and test.

    Attributes
    ----------
    by
        ``group`` or ``time``, where the test rows are taken from the training data.
    test_share
        Share of the test rows.
    deduplicate
        Duplicates to leave out: ``none``, ``exact`` or ``near``.
    on_leak
        Reaction where training and test share a group or a near-duplicate.
    learn_dropped
        True lets the bundle learn from what ``drop`` leaves out, once the test is done without it.
    """

    by: Literal["group", "time"] = "group"
    test_share: float = Field(default=0.2, gt=0, lt=1)
    deduplicate: Literal["none", "exact", "near"] = "exact"
    on_leak: OnLeak = OnLeak.FAIL
    learn_dropped: bool = True


class StudentSection(_Section):
    """Student to train; further keys are settings of its family.

    Attributes
    ----------
    family
        ``ngram``, ``bytecnn``, ``trees``, or a family of a plug-in.
    folds
        Folds of the cross-validation that gives calibration and thresholds.
    noise
        Treatment of labels that may be wrong: ``none``, ``doubt``, ``drop`` or ``relabel``.
    source_balance
        0 to 1: keeps large sources from outweighing small ones; see `StudentSpec`.
    class_prior
        Shares of the classes that probabilities suppose: ``learned``, ``uniform`` or ``labels``.
    seed
        Random seed.
    """

    model_config = ConfigDict(extra="allow")

    family: str = "ngram"
    noise: Noise = Noise.NONE
    folds: int = Field(default=5, ge=2, le=20)
    source_balance: float = Field(default=0.0, ge=0, le=1)
    class_prior: ClassPrior = ClassPrior.LEARNED
    seed: int = Field(default=0, ge=0, lt=2**31)

    @property
    def spec(self) -> StudentSpec:
        """The student for the training functions."""
        own = {name: getattr(self, name) for name in StudentSection.model_fields}
        return StudentSpec(**own, settings=dict(self.model_extra or {}))


class AugmentationSection(_Section):
    """Changed copies of training events, to learn from as well.

    Attributes
    ----------
    attacks
        Attacks: names, or ``all`` of the task's medium that do not hide an event among benign ones.
    variations
        Changes of the events that are not positive alone, such as ``account-page``.
    share, variation_share
        Share of the events of each class, and of those that are not positive, that get a copy.
    copies, weight
        Copies of each event of the rarest class, and fewer of the others; weight of all of them.
    """

    attacks: list[str] = []
    share: float = Field(default=0.5, gt=0, le=1)
    copies: int = Field(default=1, ge=1, le=100)
    variations: list[str] = []
    variation_share: float = Field(default=0.5, gt=0, le=1)
    weight: float = Field(default=0.5, gt=0, le=100)


class EvaluationSection(_Section):
    """Measurement on the test rows.

    Attributes
    ----------
    operating_point
        Wish that chooses the threshold, such as ``{fpr = 0.001}``; by default the task's rate.
    threshold_rule
        Negatives on which it must hold; see `ThresholdRule`.
    by_time
        True also measures the latest events of each family of sources, by a student of older ones.
    resamples
        Resamples of the bootstrap.
    attacks
        Attacks on the report's test events: names, or ``all``.
    """

    operating_point: OperatingPoint | None = None
    threshold_rule: ThresholdRule = ThresholdRule.UNSEEN
    by_time: bool = False
    attacks: list[str] = []
    resamples: int = Field(default=500, ge=50, le=10_000)


class Recipe(_Section):
    """One run, from events to a bundle."""

    task: str
    name: str = ""
    output: Path = Path("out")
    data: DataSection
    labels: LabelsSection | None = None
    analyst_labels: AnalystLabelsSection | None = None
    pool: PoolSection | None = None
    teacher: TeacherSection | None = None
    synthesis: SynthesisSection | None = None
    compare: CompareSection = CompareSection()
    split: SplitSection = SplitSection()
    student: StudentSection = StudentSection()
    auxiliary: list[AuxiliarySettings] = Field(default=[], max_length=MAX_AUXILIARY)
    augmentation: AugmentationSection | None = None
    evaluation: EvaluationSection = EvaluationSection()

    @property
    def spec(self) -> StudentSpec:
        """The student for the training functions, with what the evaluation asks of it."""
        rule, by_time = self.evaluation.threshold_rule, self.evaluation.by_time
        return replace(self.student.spec, threshold_rule=rule, by_time=by_time)

    @property
    def columns(self) -> ColumnNames:
        """Columns to read, with those to carry along for slices and auxiliary classifiers."""
        data, asked = self.data, [question.column for question in self.auxiliary]
        chosen = [*data.leave_out, *data.test_rows, *data.untaught]
        asked += [name for name in chosen if name not in EVENT_SCHEMA.names]
        keep = dict.fromkeys([*data.keep, *asked])
        return ColumnNames(
            text=data.text_column,
            label=data.label_column,
            group=data.group_column,
            source=data.source_column,
            keep=tuple(keep),
            unknown_labels=data.unknown_labels,
            label_map=data.label_map,
        )

    def load_task(self) -> Task:
        """Return the task of the recipe; its attacks must exist for the task's medium."""
        task = get_task(self.task)
        copies = self.augmentation or AugmentationSection()
        for names in (self.evaluation.attacks, copies.variations):
            get_attacks(names, task.medium)
        get_augmentations(copies.attacks, task.medium)
        return task


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; paths in it become relative to its folder.

    Raises
    ------
    SettingsError
        If it cannot be read, or its sections contradict each other.
    """
    recipe = read_settings(path, Recipe)
    for contradiction in _contradictions(recipe):
        raise SettingsError(f"{path}: {contradiction}", path=path)
    _rebase(recipe, path.parent)
    if recipe.task.endswith(".toml"):
        recipe.task = str(path.parent / recipe.task)
    return recipe


def _rebase(section: BaseModel, base: Path) -> None:
    """Make every path of a section, and every file of a label store, relative to a folder."""
    for name, value in section:
        if isinstance(value, BaseModel):
            _rebase(value, base)
        elif isinstance(value, Path):
            setattr(section, name, base / value)
        elif isinstance(value, list) and value and isinstance(value[0], Path):
            setattr(section, name, [base / path for path in value])
        elif name == "store" and "://" not in value:
            setattr(section, name, str(base / value))


def _contradictions(recipe: Recipe) -> Iterator[str]:
    names = [question.name for question in recipe.auxiliary]
    if len(set(names)) < len(names):
        yield "auxiliary: every auxiliary classifier needs a name of its own"
    synthesis, teacher = recipe.synthesis, recipe.teacher
    if recipe.evaluation.threshold_rule is ThresholdRule.OWN and not recipe.data.own_negatives:
        yield "threshold_rule 'own-negatives' needs data.own_negatives"
    if synthesis is not None and not synthesis.files and synthesis.generator is None:
        yield "synthesis: name `files`, or a `generator`"
    if teacher is None:
        return
    if recipe.labels is None:
        yield "a teacher needs [labels] with a store for its annotations"
    if "pool" in teacher.on and recipe.pool is None:
        yield "teacher.on names the pool, and there is no [pool]"
    if {"train", "test"} & set(teacher.on) and not (recipe.data.test or recipe.data.test_rows):
        about = "so that test rows keep the labels of their files"
        yield f"teacher.on names train or test: name data.test or data.test_rows too, {about}"
