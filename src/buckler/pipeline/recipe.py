"""The recipe: what `buckler.toml` may say, checked before any work begins."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from buckler.attacks import get_attacks
from buckler.bundle.manifest import AUXILIARY_NAME, MAX_AUXILIARY
from buckler.dataset.splits import OnLeak
from buckler.files import file_digest
from buckler.labels.merging import Merge
from buckler.tasks import Task, get_task
from buckler.training.distillation import Distillation
from buckler.training.noise import Noise


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DataSection(_Section):
    """Where the events are.

    Attributes
    ----------
    train, test
        Files or folders, relative to the recipe. Without `test`, a share of `train` is held out.
    text_column, label_column, group_column
        Where the task's usual names do not fit.
    format
        Read every file as this format, whatever its suffix.
    keep
        Further columns to slice the report by.
    """

    train: list[Path] = Field(min_length=1)
    test: list[Path] = []
    text_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    format: str | None = None
    keep: list[str] = []


class LabelsSection(_Section):
    """Annotations that the training labels are computed from.

    Attributes
    ----------
    store
        A label store: a file, or a PostgreSQL URL.
    merge
        How several annotations of an event become its target.
    label_share
        Of the target of an event whose file gives it a label too: 0 goes by the annotations alone, 1
        by the label alone. A human's verdict in the store always counts in full.
    """

    store: str
    merge: Merge = Merge.DAWID_SKENE
    label_share: float = Field(default=0.0, ge=0, le=1)


class VerdictsSection(_Section):
    """Verdicts of analysts, which are learned beside the training rows.

    Attributes
    ----------
    store
        The label store that holds them.
    hold_out
        Share of their groups that is never learned from, so that it can measure; always the same.
    weight
        Of a verdict beside a training row.
    """

    store: str
    hold_out: float = Field(default=0.3, ge=0, lt=1)
    weight: float = Field(default=1.0, gt=0, le=100)


class PoolSection(_Section):
    """Unlabeled events that help to train.

    Attributes
    ----------
    events
        Files or folders, relative to the recipe; labels in them are not looked at.
    distill
        How annotations of the label store on them count.
    """

    events: list[Path] = Field(min_length=1)
    distill: Distillation = Distillation()


class TeacherSection(_Section):
    """Who is asked in the course of the run; the label store keeps what it says.

    Attributes
    ----------
    kind
        ``encoder``, ``chat``, ``gguf``, …
    settings
        Its file, relative to the recipe.
    on
        Of which events: ``pool``, ``train`` (its word is merged with the labels), ``test`` (only to
        compare it with the student).
    budget_usd, budget_tokens
        What may be spent in one run.
    """

    kind: str
    settings: Path | None = None
    on: list[Literal["pool", "train", "test"]] = ["pool"]
    budget_usd: float | None = Field(default=None, ge=0)
    budget_tokens: int | None = Field(default=None, ge=0)


class SynthesisSection(_Section):
    """Synthetic examples, which count only if they prove to help on held-out real events.

    Attributes
    ----------
    synthetic examples
        Files that `buckler synthesize` wrote.
    by
        A generator that costs nothing, to write some in the run: ``grammar`` or ``mutation``.
    plan
        A plan of your own; by default the task's.
    number
        How many it writes.
    weight
        Of a synthetic example beside a real event.
    seeds
        Of the proof.
    unproven
        Learn from them whatever the proof says, and say so in the bundle: for what no real event
        can prove, since there is none of its kind.
    hold_out
        ``COLUMN=VALUE,VALUE``: the proof measures whether events of this kind are found by students
        that saw none; the column must stand in `data.keep`. The bundle's student learns from all.
    """

    hold_out: str | None = None
    synthetic_examples: list[Path] = []
    by: str | None = None
    plan: Path | None = None
    number: int = Field(default=1000, ge=1, le=100_000)
    weight: float = Field(default=0.5, gt=0, le=100)
    seeds: int = Field(default=5, ge=2, le=50)
    unproven: bool = False


class CompareSection(_Section):
    """What stands beside the student in the report.

    Attributes
    ----------
    upper_bound
        Labeled files: a student that learns them too shows what more true labels would bring.
    """

    upper_bound: list[Path] = []


class SplitSection(_Section):
    """How training and test are kept apart.

    Attributes
    ----------
    by
        ``group`` or ``time``, where the test rows are taken from the training data.
    test_share
        Share of them.
    deduplicate
        ``none``, ``exact`` or ``near``.
    on_leak
        What to do where training and test share a group or a near-duplicate.
    """

    by: Literal["group", "time"] = "group"
    test_share: float = Field(default=0.2, gt=0, lt=1)
    deduplicate: Literal["none", "exact", "near"] = "exact"
    on_leak: OnLeak = OnLeak.FAIL


class StudentSection(_Section):
    """What is trained; further keys are settings of the family.

    Attributes
    ----------
    family
        ``ngram``, ``bytecnn``, ``minibert`` or ``trees``.
    folds
        Of the cross-fitting that gives calibration and thresholds.
    noise
        What to do about labels that may be wrong: ``none``, ``doubt``, ``drop`` or ``relabel``.
    seed
        Of everything random.
    """

    model_config = ConfigDict(extra="allow")

    family: str = "ngram"
    noise: Noise = Noise.NONE
    folds: int = Field(default=5, ge=2, le=20)
    seed: int = Field(default=0, ge=0, lt=2**31)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the family itself."""
        return dict(self.model_extra or {})


class AugmentationSection(_Section):
    """Changed copies of training events, to learn from as well.

    Attributes
    ----------
    attacks
        On positive events: names, or ``all`` that the task's events know.
    share
        Of the bad training events that get a copy.
    variations
        Of the others: names, such as ``ordinary-path``.
    variation_share
        Of the others that get a copy.
    weight
        Of a copy beside an event.
    """

    attacks: list[str] = []
    share: float = Field(default=0.5, gt=0, le=1)
    variations: list[str] = []
    variation_share: float = Field(default=0.5, gt=0, le=1)
    weight: float = Field(default=0.5, gt=0, le=100)


class HeadSection(_Section):
    """A further question, which a column of the data answers for some events.

    Attributes
    ----------
    name
        Of the column in verdicts, such as ``technique``.
    column
        Of the data; by default named the same.
    on
        ``detections``: learned from events of positive classes, asked of detections; ``all``: of every event.
    separator
        What parts several answers in a cell; any of them is right.
    cut_at
        Answers count up to this only: ``"."`` takes the technique of a sub-technique.
    min_rows
        Answers with fewer training rows are not learned.
    folds_by
        ``group``, or ``text`` where the groups are the answers themselves, so that a fold by group
        could never know them: near-duplicates stay together then.
    student
        Settings of the family that differ from the recipe's.
    """

    name: str
    column: str = ""
    on: Literal["detections", "all"] = "detections"
    separator: str = ""
    cut_at: str = ""
    min_rows: int = Field(default=20, ge=2)
    folds_by: Literal["group", "text"] = "group"
    student: dict[str, Any] = {}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not AUXILIARY_NAME.fullmatch(self.name):
            raise ValueError(
                "a head's name is a lower-case word that no column of verdicts has, such as "
                "technique"
            )
        self.column = self.column or self.name
        return self

    def values_in(self, cell: object) -> tuple[str, ...]:
        """Return the answers in a cell, each once; none where it is empty."""
        text = "" if cell is None else str(cell)
        parts = text.split(self.separator) if self.separator else [text]
        if self.cut_at:
            parts = [part.partition(self.cut_at)[0] for part in parts]
        return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


class EvaluationSection(_Section):
    """How it is measured.

    Attributes
    ----------
    deployed_fpr
        The false-positive rate whose threshold is used unless another is asked for.
    resamples
        Of the bootstrap.
    attacks
        What the report's test events are attacked with: names, or ``all``.
    """

    deployed_fpr: float | None = Field(default=None, gt=0, lt=1)
    attacks: list[str] = []
    resamples: int = Field(default=500, ge=50, le=10_000)


class Recipe(_Section):
    """One run, from events to a bundle."""

    task: str
    name: str = ""
    output: Path = Path("out")
    data: DataSection
    labels: LabelsSection | None = None
    verdicts: VerdictsSection | None = None
    pool: PoolSection | None = None
    teacher: TeacherSection | None = None
    synthesis: SynthesisSection | None = None
    compare: CompareSection = CompareSection()
    split: SplitSection = SplitSection()
    student: StudentSection = StudentSection()
    head: list[HeadSection] = Field(default=[], max_length=MAX_AUXILIARY)
    augmentation: AugmentationSection | None = None
    evaluation: EvaluationSection = EvaluationSection()

    def pretrained_digest(self) -> str | None:
        """Return the digest of the student's pre-trained weights, where it has any."""
        path = self.student.settings.get("pretrained")
        return file_digest(Path(path)) if path else None

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """Columns that are carried along: for slices, and for heads."""
        return tuple(dict.fromkeys([*self.data.keep, *(head.column for head in self.head)]))

    def load_task(self) -> Task:
        """Return the task that the recipe names, on whose events its attacks must be known."""
        task = get_task(self.task)
        asked = self.augmentation or AugmentationSection()
        for names in (self.evaluation.attacks, asked.attacks, asked.variations):
            get_attacks(names, task.medium)
        return task
