"""The seam for everything that can label: rules, recorded annotations, models, large models.

A teacher looks at events and says what it thinks, or nothing. It does not know of stores, budgets
or files of events: `label_events` asks it only for what it has not said before and keeps what it
says. To add one: a module with one class under ``@teacher``, imported in `_teachers`, or an entry
point in the group ``buckler.teachers``.
"""

from abc import ABC, abstractmethod
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from buckler.dataset import Dataset
from buckler.errors import SettingsError
from buckler.labels import Annotation, Annotator
from buckler.tasks import Task


class Teacher(ABC):
    """One source of annotations.

    Attributes
    ----------
    kind
        The name by which it is chosen.
    annotator
        Who speaks, with a version that changes whenever it could say something else.
    columns
        Further columns of the events that it looks at, where they are there.
    """

    kind = ""
    annotator: Annotator
    columns: tuple[str, ...] = ()

    @classmethod
    @abstractmethod
    def from_file(cls, path: Path | None, task: Task) -> "Teacher":
        """Make a teacher from its file of settings; None where the user gave none."""

    @abstractmethod
    def annotate(self, events: Dataset) -> list[Annotation | None]:
        """Return an annotation for each event, or None where there is nothing to say."""


_BUILT_IN = (
    "llm.anthropic",
    "llm.chat",
    "ensemble",
    "encoder",
    "llm.gguf",
    "recorded",
    "rules",
    "sigma",
)
_TEACHERS: dict[str, type[Teacher]] = {}


def teacher(kind: type[Teacher]) -> type[Teacher]:
    """Register a teacher class under its kind."""
    _TEACHERS[kind.kind] = kind
    return kind


@cache
def _teachers() -> dict[str, type[Teacher]]:
    for module in _BUILT_IN:
        import_module(f"buckler.teachers.{module}")
    for entry in entry_points(group="buckler.teachers"):
        teacher(entry.load())
    return _TEACHERS


def list_teachers() -> list[str]:
    """Return the kinds that are installed."""
    return sorted(_teachers())


def get_teacher(kind: str, path: Path | None, task: Task) -> Teacher:
    """Return a teacher of this kind, made from its file.

    Raises
    ------
    SettingsError
        If there is no such kind, or the file makes no sense.
    """
    known = _teachers()
    if kind not in known:
        raise SettingsError(f"unknown teacher {kind!r}: known are {', '.join(sorted(known))}")
    return known[kind].from_file(path, task)


def required(path: Path | None, kind: str, what: str) -> Path:
    """Return the file of settings of a teacher that cannot do without.

    Raises
    ------
    SettingsError
        If none was given.
    """
    if path is None:
        raise SettingsError(f"the teacher {kind!r} needs settings: {what}", field="settings")
    return path
