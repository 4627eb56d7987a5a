"""The seam for everything that annotates: rules, recorded annotations, encoders, language models.

A teacher annotates events, or stays silent about them. `buckler.teachers.labeling` asks it only
about events that it has not annotated before. To add one, write a module with one class under
``@TEACHERS.add`` in this package, or name it in an entry point of the group ``buckler.teachers``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from buckler.dataset.dataset import Dataset
from buckler.errors import SettingsError
from buckler.files import read_settings
from buckler.labels import Annotation, Annotator
from buckler.labels.ledger import CallResult, Ledger
from buckler.registry import Registry
from buckler.tasks import Task
from buckler.teachers.budget import Account, Budget, Spending

BATCH_ROWS = 1000
_Settings = TypeVar("_Settings", bound=BaseModel)


@dataclass(frozen=True)
class Estimate:
    """Expected work of a labeling job that costs money.

    Attributes
    ----------
    calls, spending
        Calls and their cost.
    is_priced
        True if the price is known; the cost counts as zero otherwise.
    is_hosted, is_redacted
        True if events leave this network, and if secrets and personal data are replaced in them.
    """

    calls: int = 0
    spending: Spending = field(default_factory=Spending)
    is_priced: bool = True
    is_hosted: bool = False
    is_redacted: bool = False


class Job:
    """The labeling of one dataset by one teacher, as the teacher sees it.

    Parameters
    ----------
    ledger
        Records of this teacher in the label store.
    budget
        Limits of the job.
    on_keep
        Called with annotations after they are stored.
    on_progress
        Called with the number of finished events and the account so far.

    Attributes
    ----------
    n_elsewhere
        Number of events that were left to another job.
    """

    def __init__(
        self,
        ledger: Ledger,
        budget: Budget,
        on_keep: Callable[[Sequence[Annotation]], None] = lambda _: None,
        on_progress: Callable[[int, Account | None], None] = lambda *_: None,
    ) -> None:
        self.ledger, self.budget, self.report = ledger, budget, on_progress
        self._on_keep = on_keep
        self.n_elsewhere = 0

    def claim(self, ids: Sequence[bytes]) -> set[bytes]:
        """Reserve events; return those to ask about, which no other job asks about or has."""
        mine = self.ledger.claim_unknown(ids)
        self.n_elsewhere += len(ids) - len(mine)
        return mine

    def keep(self, results: Sequence[CallResult], submission: int | None = None) -> None:
        """Store results in one transaction; they are safe when this returns.

        Parameters
        ----------
        submission
            Number of the batch that the results complete, if any.
        """
        self.ledger.keep(results, submission)
        self._on_keep([annotation for result in results for annotation in result.annotations])


class Teacher(ABC):
    """One source of annotations.

    `annotate` is enough for a teacher that costs nothing. A teacher that spends money overrides
    `label`, `estimate` and `check_budget`, and sets `is_paid`.

    Attributes
    ----------
    kind
        Name by which it is chosen.
    annotator
        Name under which it annotates, with a version that changes whenever its answers could.
    columns
        Further columns of the events that it reads, where they exist.
    is_paid
        True if its annotations may cost money.
    """

    kind = ""
    annotator: Annotator
    columns: tuple[str, ...] = ()
    is_paid = False

    @classmethod
    @abstractmethod
    def from_file(cls, path: Path | None, task: Task) -> Self:
        """Make a teacher from its file of settings; None where the user gave none."""

    @abstractmethod
    def annotate(self, events: Dataset) -> list[Annotation | None]:
        """Return an annotation for each event, or None for silence."""

    def label(self, events: Dataset, job: Job) -> Account | None:
        """Annotate events and give every result to ``job.keep`` before going on.

        Returns
        -------
        Account
            Calls and cost; None for a teacher that costs nothing.
        """
        for start in range(0, len(events), BATCH_ROWS):
            batch = events.take(np.arange(start, min(start + BATCH_ROWS, len(events))))
            answers = self.annotate(batch)
            texts = batch.raw_texts
            annotations = [annotation for annotation in answers if annotation is not None]
            kept_texts = {
                annotation.event_id: text
                for annotation, text in zip(answers, texts, strict=True)
                if annotation is not None
            }
            job.keep([CallResult(annotations, texts=kept_texts)])
            job.report(start + len(batch), None)
        return None

    def can_answer(self, events: Dataset) -> npt.NDArray[np.bool_]:
        """Return which events it can be asked about, bool [n]: all, unless answers are recorded."""
        return np.ones(len(events), bool)

    def estimate(self, events: Dataset) -> Estimate:  # noqa: ARG002 - for those that cost money
        """Return the expected calls and spending of labeling these events."""
        return Estimate()

    def check_budget(self, budget: Budget) -> None:  # noqa: B027 - for those that cost money
        """Raise SettingsError if the teacher cannot keep to this budget."""


TEACHERS: Registry[type[Teacher]] = Registry(
    "teacher",
    ("buckler.teachers", "buckler.teachers.llm"),
    "buckler.teachers",
    lambda kind: kind.kind,
)


def list_teachers() -> list[str]:
    """Return the kinds of all installed teachers."""
    return TEACHERS.names()


def get_teacher(kind: str, path: Path | None, task: Task) -> Teacher:
    """Return a teacher of this kind, made from its file.

    Raises
    ------
    SettingsError
        If there is no such kind, or the file makes no sense.
    """
    return TEACHERS.get(kind).from_file(path, task)


def read_teacher_settings(
    path: Path | None,
    kind: str,
    model: type[_Settings],
    content: str = "a TOML file with its model",
) -> _Settings:
    """Return the settings of a teacher from TOML; paths in it are relative to it.

    Raises
    ------
    SettingsError
        If there is no file, or it makes no sense.
    """
    path = require_settings(path, kind, content)
    folder = path.parent

    def anchor(value: object) -> object:
        if isinstance(value, list):
            return [anchor(each) for each in value]
        return folder / value if isinstance(value, Path) else value

    settings = read_settings(path, model)
    paths = {name: anchor(getattr(settings, name)) for name in model.model_fields}
    return settings.model_copy(update=paths)


def require_settings(path: Path | None, kind: str, content: str) -> Path:
    """Return the settings file of a teacher that cannot do without one.

    Raises
    ------
    SettingsError
        If none was given.
    """
    if path is None:
        raise SettingsError(f"the teacher {kind!r} needs settings: {content}", field="settings")
    return path
