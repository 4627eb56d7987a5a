"""The recipe: what `buckler.toml` may say, checked before any work begins."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from buckler.events.splitting import OnLeak
from buckler.labels.merging import Merge
from buckler.learning.distill import Distillation
from buckler.learning.noise import Noise
from buckler.learning.rounds import RoundSettings
from buckler.settings_file import read_settings
from buckler.tasks import Task, get_task


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
    """Opinions that the training labels are computed from.

    Attributes
    ----------
    store
        A label store: a file, or a PostgreSQL URL.
    merge
        How several opinions of an event become its target.
    """

    store: str
    merge: Merge = Merge.DAWID_SKENE


class PoolSection(_Section):
    """Unlabelled events that help to train.

    Attributes
    ----------
    events
        Files or folders, relative to the recipe; labels in them are not looked at.
    distill
        How opinions of the label store on them count.
    rounds
        How a student labels the rest for the next one; without it, only events with opinions
        count.
    """

    events: list[Path] = Field(min_length=1)
    distill: Distillation = Distillation()
    rounds: RoundSettings | None = None


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
        ``ngram``.
    folds
        Of the cross-fitting that gives calibration and thresholds.
    noise
        What to do about labels that may be wrong: ``none``, ``drop``, ``relabel``, ``bootstrap``
        or ``gce``.
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


class EvaluationSection(_Section):
    """How it is measured.

    Attributes
    ----------
    deployed_fpr
        The false-positive rate whose threshold is used unless another is asked for.
    resamples
        Of the bootstrap.
    """

    deployed_fpr: float | None = Field(default=None, gt=0, lt=1)
    resamples: int = Field(default=500, ge=50, le=10_000)


class Recipe(_Section):
    """One run, from events to a bundle."""

    task: str
    name: str = ""
    output: Path = Path("out")
    data: DataSection
    labels: LabelsSection | None = None
    pool: PoolSection | None = None
    split: SplitSection = SplitSection()
    student: StudentSection = StudentSection()
    evaluation: EvaluationSection = EvaluationSection()

    def load_task(self) -> Task:
        """Return the task that the recipe names."""
        return get_task(self.task)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; paths in it become relative to its folder.

    Raises
    ------
    SettingsError
        If it cannot be read, or says what cannot be.
    """
    recipe = read_settings(path, Recipe)
    base = path.parent
    recipe.data.train = [base / p for p in recipe.data.train]
    recipe.data.test = [base / p for p in recipe.data.test]
    recipe.output = base / recipe.output
    if recipe.pool is not None:
        recipe.pool.events = [base / p for p in recipe.pool.events]
    if recipe.labels is not None and "://" not in recipe.labels.store:
        recipe.labels.store = str(base / recipe.labels.store)
    if recipe.task.endswith(".toml"):
        recipe.task = str(base / recipe.task)
    return recipe
